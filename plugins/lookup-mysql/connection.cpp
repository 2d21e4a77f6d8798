#include "plugins/lookup-mysql/connection.hpp"

#include <mariadb/errmsg.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mansio::lookup {
namespace {

const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

unsigned seconds(std::chrono::nanoseconds time) {
  const auto s = std::chrono::ceil<std::chrono::seconds>(time).count();
  return static_cast<unsigned>(std::clamp<std::int64_t>(s, 1, 86400));
}

// What the client library itself reports, and what a server says that will not answer: it is shutting down, has too
// many connections, or ended this one.
bool unusable(unsigned error) {
  constexpr std::array<unsigned, 7> kServer{1040, 1053, 1077, 1079, 1152, 1158, 1927};
  return (error >= CR_MIN_ERROR && error <= CR_MAX_ERROR) || (error >= 5000 && error < 6000) ||
         std::find(kServer.begin(), kServer.end(), error) != kServer.end();
}

}  // namespace

std::unique_ptr<MysqlConnection> MysqlConnection::connect(const MysqlSettings &s, const Endpoint &to,
                                                          std::string &why) {
  auto *raw = ::mysql_init(nullptr);
  if (!raw) return why = "out of memory", nullptr;
  std::unique_ptr<MysqlConnection> c{new MysqlConnection{to.name(), raw, s.require_result_set}};
  const auto limit = seconds(s.timeout);
  for (const auto option : {MYSQL_OPT_CONNECT_TIMEOUT, MYSQL_OPT_READ_TIMEOUT, MYSQL_OPT_WRITE_TIMEOUT})
    ::mysql_optionsv(raw, option, &limit);
  if (!s.option_file.empty()) ::mysql_optionsv(raw, MYSQL_READ_DEFAULT_FILE, s.option_file.c_str());
  if (!s.option_group.empty()) ::mysql_optionsv(raw, MYSQL_READ_DEFAULT_GROUP, s.option_group.c_str());
  ::mysql_optionsv(raw, MYSQL_SET_CHARSET_NAME, s.charset.c_str());
  if (s.tls && !to.local()) {
    const my_bool on = 1, verify = s.tls_verify_cert ? 1 : 0;
    ::mysql_ssl_set(raw, or_null(s.tls_key_file), or_null(s.tls_cert_file), or_null(s.tls_ca_file),
                    or_null(s.tls_ca_path), or_null(s.tls_ciphers));
    ::mysql_optionsv(raw, MYSQL_OPT_SSL_ENFORCE, &on);
    ::mysql_optionsv(raw, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
  }
  // Left to itself the library takes "localhost" for its socket.
  const unsigned protocol = to.local() ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
  ::mysql_optionsv(raw, MYSQL_OPT_PROTOCOL, &protocol);
  if (!::mysql_real_connect(raw, to.local() ? "localhost" : to.host.c_str(), or_null(s.user), or_null(s.password),
                            or_null(s.dbname), to.port, or_null(to.path), CLIENT_MULTI_RESULTS))
    return why = to.name() + ": " + ::mysql_error(raw), nullptr;
  return c;
}

bool MysqlConnection::prepare(const std::string &sql) {
  statement_.reset(::mysql_stmt_init(connection_.get()));
  return statement_ && ::mysql_stmt_prepare(statement_.get(), sql.c_str(), sql.size()) == 0;
}

std::optional<Answer> MysqlConnection::ask(const std::string &sql, const std::vector<std::string> &parameters,
                                           Table::Values values, std::string &why) {
  has_result_set_ = false;
  if ((statement_ || prepare(sql)) && run(parameters, values)) {
    if (has_result_set_ || !require_result_set_) return std::move(values).answer();
    return Answer::try_later(name_ + ": the query has no result set");
  }
  auto *s = statement_.get();
  const auto error = s ? ::mysql_stmt_errno(s) : ::mysql_errno(connection_.get());
  auto text = name_ + ": " + (s ? ::mysql_stmt_error(s) : ::mysql_error(connection_.get()));
  if (unusable(error)) return why = std::move(text), std::nullopt;
  statement_.reset();  // prepared anew next time: what it names may have changed
  return Answer::try_later(std::move(text));
}

bool MysqlConnection::run(const std::vector<std::string> &parameters, Table::Values &values) {
  auto *s = statement_.get();
  std::vector<MYSQL_BIND> in(parameters.size());
  for (std::size_t i = 0; i < in.size(); ++i) {
    in[i].buffer_type = MYSQL_TYPE_STRING;
    in[i].buffer = const_cast<char *>(parameters[i].data());
    in[i].buffer_length = parameters[i].size();
  }
  if (!in.empty() && ::mysql_stmt_bind_param(s, in.data())) return false;
  if (::mysql_stmt_execute(s) || !fetch(values)) return false;
  // What a procedure returns besides.
  for (int more = 0;;) {
    ::mysql_stmt_free_result(s);
    more = ::mysql_stmt_next_result(s);
    if (more != 0) return more < 0;
  }
}

bool MysqlConnection::fetch(Table::Values &values) {
  auto *s = statement_.get();
  const auto columns = ::mysql_stmt_field_count(s);
  if (columns == 0) return true;
  has_result_set_ = true;
  struct Column {
    std::vector<char> text = std::vector<char>(256);
    unsigned long length = 0;
    my_bool null = 0, cut = 0;
  };
  std::vector<Column> into(columns);
  std::vector<MYSQL_BIND> out(columns);
  const auto point = [&](unsigned i) {
    out[i].buffer_type = MYSQL_TYPE_STRING;
    out[i].buffer = into[i].text.data();
    out[i].buffer_length = into[i].text.size();
    out[i].length = &into[i].length;
    out[i].is_null = &into[i].null;
    out[i].error = &into[i].cut;
  };
  for (unsigned i = 0; i < columns; ++i) point(i);
  if (::mysql_stmt_bind_result(s, out.data())) return false;
  for (;;) {
    const int result = ::mysql_stmt_fetch(s);
    if (result == MYSQL_NO_DATA) return true;
    if (result != 0 && result != MYSQL_DATA_TRUNCATED) return false;
    for (unsigned i = 0; i < columns; ++i) {
      auto &column = into[i];
      if (column.null) continue;
      if (column.length > column.text.size()) {
        std::vector<char> whole(column.length);
        MYSQL_BIND again = out[i];
        again.buffer = whole.data();
        again.buffer_length = whole.size();
        if (::mysql_stmt_fetch_column(s, &again, i, 0)) return false;
        if (!values.add({whole.data(), whole.size()})) return true;
      } else if (!values.add({column.text.data(), column.length})) {
        return true;
      }
    }
  }
}

}  // namespace mansio::lookup
