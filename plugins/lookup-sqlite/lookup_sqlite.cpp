// lookup-sqlite: asks an SQLite database. Options and behaviour: README.md.
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/sql.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-sqlite/connection.hpp"

namespace mansio::lookup {
namespace {

class LookupSqlite {
 public:
  static constexpr plugin::Info info{"lookup-sqlite", "1.0", 0, MANSIO_BLOCKING, 4};
  static constexpr mansio_option options[] = {
      {"dbpath", MANSIO_OPT_PATH, MANSIO_OPT_REQUIRED, nullptr, "File of the database."},
      {"query", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
       "SELECT statement; within single quotes `%s` is the key, `%u` and `%d` its local part and domain, `%1` to `%9` "
       "labels of the domain from the last. Every column of every row is a value."},
      kResultFormat,
      kDomain,
      kExpansionLimit,
      kFoldCase,
      {"timeout", MANSIO_OPT_DURATION, 0, "10s", "Longest wait for a database that somebody writes to."},
      {}};

  explicit LookupSqlite(const plugin::Host &host)
      : path_(host.option("dbpath")),
        timeout_(positive_duration(host, "timeout")),
        query_(host.option("query"), Placeholder::Question),
        table_(host),
        pool_({1, std::chrono::nanoseconds{0}, std::chrono::hours{1}},
              [this](std::size_t, std::string &why) { return SqliteConnection::open(path_, timeout_, why); }) {}

  static void check(const plugin::Config &config) {
    plugin::Problems problems{config};
    problems.of([&] { positive_duration(config, "timeout"); });
    problems.of([&] { Table{config}; });
    problems.of([&] {
      const SqlQuery query{config.option("query"), Placeholder::Question};
      check_database(config.option("dbpath"), query);
    });
    problems.end();
  }

  plugin::Reply lookup(std::string_view, std::string_view raw) {
    const auto key = table_.key(raw);
    const auto parameters = key ? query_.bind(*key) : std::nullopt;
    if (!parameters) return plugin::not_found();
    return reply(pool_.ask([&](SqliteConnection &c, std::string &why) {
      return c.ask(query_.text(), *parameters, Table::Values{table_, *key}, why);
    }));
  }

 private:
  static void check_database(const std::string &path, const SqlQuery &query) {
    if (::access(path.c_str(), R_OK) != 0) {
      if (errno == ENOENT) throw plugin::BadConfig{"dbpath", "names " + path + ", which is not there"};
      return;  // whether it can be read is for the process that will
    }
    std::string why;
    const auto connection = SqliteConnection::open(path, std::chrono::seconds{1}, why);
    if (!connection) throw plugin::BadConfig{"dbpath", "cannot be used: " + why};
    if (const auto wrong = connection->prepare(query.text()); !wrong.empty())
      throw plugin::BadConfig{"query", "is refused by " + wrong};
  }

  std::string path_;
  std::chrono::nanoseconds timeout_;
  SqlQuery query_;
  Table table_;
  Pool<SqliteConnection> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupSqlite)
