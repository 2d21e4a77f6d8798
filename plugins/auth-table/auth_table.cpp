// auth-table: knows users by a table of hashed passwords. Options and behaviour: README.md.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "mansio/auth.hpp"
#include "plugins/common/credentials.hpp"
#include "workers.hpp"

namespace mansio::auth_table {
namespace {

constexpr std::int64_t kMostThreads = 64;

struct Settings {
  std::string table;
  unsigned threads = 0;
};

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.table = config.option("table");
    if (s.table.empty()) throw plugin::BadConfig{"table", "is \"\", expected the name of a [lookup.NAME] table"};
  });
  problems.of([&] {
    const auto threads = config.integer("workers");
    if (threads < 1 || threads > kMostThreads)
      throw plugin::BadConfig{"workers", "is " + std::to_string(threads) + ", expected an integer from 1 to 64"};
    s.threads = static_cast<unsigned>(threads);
  });
  problems.end();
  return s;
}

class AuthTable {
 public:
  static constexpr plugin::Info info{"auth-table", "1.0", MANSIO_NEEDS_NETWORK};  // for the tables that it asks
  static constexpr mansio_option options[] = {
      {"table", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
       "The `[lookup.NAME]` that has a hashed password for each user."},
      {"workers", MANSIO_OPT_INTEGER, 0, "2", "Passwords that are checked at once, each on a thread."},
      {}};

  explicit AuthTable(const plugin::Host &host) : AuthTable(host, read_settings(host)) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  std::string_view mechanisms(bool) const { return "PLAIN LOGIN"; }

  void step(plugin::AuthStep step, plugin::Token token) {
    std::optional<std::string> name;
    if (auto known = names_.extract(step.exchange); !known.empty()) name = std::move(known.mapped());
    auto heard = sasl::hear(step, name);
    if (auto *const reply = std::get_if<plugin::Reply>(&heard)) {
      if (name) names_.emplace(step.exchange, std::move(*name));
      return token.complete(*reply);
    }
    auto &[user, password] = std::get<sasl::Credentials>(heard);
    ask({std::move(token), std::move(user), std::move(password), {}});
  }
  void cancel(mansio_op op) { workers_.give_up(op); }
  void forget(std::uint64_t exchange) { names_.erase(exchange); }

 private:
  // One user that the table is asked for.
  struct Question {
    AuthTable &owner;
    Job job;
    void answered(const plugin::Reply &reply) { owner.answered(*this, reply); }  // after which it is no more
  };

  AuthTable(const plugin::Host &host, Settings settings)
      : host_(host), table_(std::move(settings.table)), workers_(settings.threads) {}

  void ask(Job job) {
    const auto user = job.user;
    std::unique_ptr<Question> question{new Question{*this, std::move(job)}};
    auto *const asked = question.get();
    questions_.emplace(asked, std::move(question));
    host_.lookup<&Question::answered>(table_, user, asked);
  }

  void answered(Question &question, const plugin::Reply &reply) {
    const auto node = questions_.extract(&question);
    auto &job = node.mapped()->job;
    if (reply.status() == MANSIO_OK)
      job.stored = reply.values();
    else if (reply.status() != MANSIO_NOT_FOUND)
      return job.token.complete(plugin::defer("table " + table_ + ": " + reply.text()));
    workers_.add(std::move(job));
  }

  const plugin::Host host_;
  const std::string table_;
  std::map<std::uint64_t, std::string> names_;  // by exchange, of those that have yet to say their password
  std::map<const Question *, std::unique_ptr<Question>> questions_;
  Workers workers_;  // last: it goes first
};

}  // namespace
}  // namespace mansio::auth_table

MANSIO_AUTH_PLUGIN(mansio::auth_table::AuthTable)
