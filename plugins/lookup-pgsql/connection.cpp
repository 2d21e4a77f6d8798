#include "plugins/lookup-pgsql/connection.hpp"

#include <poll.h>

#include <string_view>
#include <utility>

namespace mansio::lookup {
namespace {

constexpr const char *kStatement = "lookup";

Deadline after(std::chrono::nanoseconds time) {
  return std::chrono::steady_clock::now() + std::chrono::duration_cast<Deadline::duration>(time);
}

// libpq's messages have lines.
std::string one_line(std::string_view text) {
  std::string out{text};
  while (!out.empty() && out.back() == '\n') out.pop_back();
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return out;
}

// A socket's path as libpq wants it: directory and port. ".../.s.PGSQL.5432", or the directory alone.
std::pair<std::string, std::string> directory_and_port(const std::string &path) {
  constexpr std::string_view kName = "/.s.PGSQL.";
  const auto at = path.rfind(kName);
  if (at == std::string::npos) return {path, "5432"};
  return {path.substr(0, at), path.substr(at + kName.size())};
}

}  // namespace

std::unique_ptr<PgsqlConnection> PgsqlConnection::connect(const PgsqlSettings &s, const Endpoint &to,
                                                          std::string &why) {
  const auto [host, port] = to.local() ? directory_and_port(to.path) : std::pair{to.host, std::to_string(to.port)};
  std::vector<const char *> names, values;
  const auto add = [&](const char *name, const std::string &value) {
    if (value.empty()) return;
    names.push_back(name);
    values.push_back(value.c_str());
  };
  add("host", host);
  add("port", port);
  add("user", s.user);
  add("password", s.password);
  add("dbname", s.dbname);
  add("client_encoding", s.encoding);
  add("sslmode", s.sslmode);
  add("sslrootcert", s.tls_ca_file);
  add("sslcert", s.tls_cert_file);
  add("sslkey", s.tls_key_file);
  const std::string program = "mansio";
  add("application_name", program);
  names.push_back(nullptr);
  values.push_back(nullptr);
  auto *raw = ::PQconnectStartParams(names.data(), values.data(), 0);
  if (!raw) return why = "out of memory", nullptr;
  std::unique_ptr<PgsqlConnection> c{new PgsqlConnection{to.name(), s.timeout, raw}};
  ::PQsetNoticeProcessor(
      raw, [](void *, const char *) {}, nullptr);
  return c->establish(after(s.timeout), why) ? std::move(c) : nullptr;
}

bool PgsqlConnection::establish(Deadline deadline, std::string &why) {
  auto *c = connection_.get();
  auto state = PGRES_POLLING_WRITING;
  while (::PQstatus(c) != CONNECTION_BAD && state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
    if (!wait_for(::PQsocket(c), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline))
      return why = name_ + ": no connection in time", false;
    state = ::PQconnectPoll(c);
  }
  if (state == PGRES_POLLING_OK && ::PQsetnonblocking(c, 1) == 0) return true;
  return why = name_ + ": " + one_line(::PQerrorMessage(c)), false;
}

PgsqlConnection::Result PgsqlConnection::result(Deadline deadline) {
  auto *c = connection_.get();
  Result last;
  for (;;) {
    while (::PQisBusy(c)) {
      const int unsent = ::PQflush(c);
      if (unsent < 0) return nullptr;
      const auto events = static_cast<short>(POLLIN | (unsent > 0 ? POLLOUT : 0));
      if (!wait_for(::PQsocket(c), events, deadline) || !::PQconsumeInput(c)) return nullptr;
    }
    Result next{::PQgetResult(c)};
    if (!next) return ::PQstatus(c) == CONNECTION_OK ? std::move(last) : nullptr;
    last = std::move(next);
  }
}

std::optional<Answer> PgsqlConnection::ask(const std::string &sql, const std::vector<std::string> &parameters,
                                           Table::Values values, std::string &why) {
  const auto deadline = after(timeout_);
  auto *c = connection_.get();
  const auto broken = [&] {
    const auto text = one_line(::PQerrorMessage(c));
    return why = name_ + ": " + (text.empty() ? "no answer in time" : text), std::nullopt;
  };
  const auto refused = [&](const Result &r) {
    return Answer::try_later(name_ + ": " + one_line(::PQresultErrorMessage(r.get())));
  };
  if (!prepared_) {
    if (!::PQsendPrepare(c, kStatement, sql.c_str(), 0, nullptr)) return broken();
    const auto r = result(deadline);
    if (!r) return broken();
    if (::PQresultStatus(r.get()) != PGRES_COMMAND_OK) return refused(r);
    prepared_ = true;
  }
  std::vector<const char *> texts;
  texts.reserve(parameters.size());
  for (const auto &p : parameters) {
    // PostgreSQL has no text with a NUL byte in it.
    if (p.find('\0') != std::string::npos) return Answer::not_found();
    texts.push_back(p.c_str());
  }
  if (!::PQsendQueryPrepared(c, kStatement, static_cast<int>(texts.size()), texts.data(), nullptr, nullptr, 0))
    return broken();
  const auto r = result(deadline);
  if (!r) return broken();
  if (::PQresultStatus(r.get()) != PGRES_TUPLES_OK) {
    // What it names may have changed: prepared anew on another connection, which is also what a server that shuts down
    // leaves to do.
    why = name_ + ": " + one_line(::PQresultErrorMessage(r.get()));
    const auto *state = ::PQresultErrorField(r.get(), PG_DIAG_SQLSTATE);
    const std::string_view code = state ? state : "";
    if (code.starts_with("57P") || code == "0A000" || code == "26000") return std::nullopt;
    return Answer::try_later(why);
  }
  bool more = true;
  for (int row = 0; more && row < ::PQntuples(r.get()); ++row)
    for (int column = 0; more && column < ::PQnfields(r.get()); ++column)
      if (!::PQgetisnull(r.get(), row, column))
        more = values.add(
            {::PQgetvalue(r.get(), row, column), static_cast<std::size_t>(::PQgetlength(r.get(), row, column))});
  return std::move(values).answer();
}

}  // namespace mansio::lookup
