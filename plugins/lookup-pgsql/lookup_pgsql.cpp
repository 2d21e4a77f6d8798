// lookup-pgsql: asks PostgreSQL. Options and behaviour: README.md.
#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/sql.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-pgsql/connection.hpp"

namespace mansio::lookup {
namespace {

PgsqlSettings read_settings(const plugin::Config &config) {
  PgsqlSettings s;
  plugin::Problems problems{config};
  problems.of([&] { s.hosts = parse_endpoints("hosts", config.list("hosts"), 5432); });
  s.user = config.option("user");
  s.password = config.option("password");
  s.dbname = config.option("dbname");
  s.encoding = config.option("encoding");
  problems.of([&] {
    constexpr std::array<std::string_view, 6> kModes{"disable", "allow",     "prefer",
                                                     "require", "verify-ca", "verify-full"};
    s.sslmode = config.option("sslmode");
    if (std::find(kModes.begin(), kModes.end(), s.sslmode) == kModes.end())
      throw plugin::BadConfig{
          "sslmode", "is \"" + s.sslmode + "\", expected disable, allow, prefer, require, verify-ca or verify-full"};
  });
  s.tls_ca_file = config.option("tls_CAfile");
  s.tls_cert_file = config.option("tls_cert_file");
  s.tls_key_file = config.option("tls_key_file");
  problems.of([&] { s.timeout = positive_duration(config, "timeout"); });
  problems.of([&] { SqlQuery(config.option("query"), Placeholder::Dollar); });
  problems.of([&] { Table{config}; });
  problems.end();
  return s;
}

class LookupPgsql {
 public:
  static constexpr plugin::Info info{"lookup-pgsql", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"hosts", MANSIO_OPT_LIST, 0, "unix:/run/postgresql",
       "Servers in the order of preference: `unix:/directory`, `unix:/directory/.s.PGSQL.5432`, `host` or "
       "`host:port`."},
      {"user", MANSIO_OPT_TEXT, 0, nullptr, "Name to log in with."},
      {"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr, "Password to log in with."},
      {"dbname", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr, "Database."},
      {"query", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
       "SELECT statement; within single quotes `%s` is the key, `%u` and `%d` its local part and domain, `%1` to `%9` "
       "labels of the domain from the last. Every column of every row is a value."},
      kResultFormat,
      kDomain,
      kExpansionLimit,
      kFoldCase,
      {"timeout", MANSIO_OPT_DURATION, 0, "4s", "Longest wait for a connection, and for an answer."},
      kRetryInterval,
      kIdleInterval,
      {"encoding", MANSIO_OPT_TEXT, 0, "UTF8", "Character set of the connection."},
      {"sslmode", MANSIO_OPT_TEXT, 0, "prefer",
       "TLS over TCP as libpq means it: disable, allow, prefer, require, verify-ca, or verify-full, which alone knows "
       "whom it speaks to."},
      {"tls_CAfile", MANSIO_OPT_PATH, 0, nullptr, "Certificates of the authorities that a server's may be from."},
      {"tls_cert_file", MANSIO_OPT_PATH, 0, nullptr, "Certificate of this client."},
      {"tls_key_file", MANSIO_OPT_PATH, 0, nullptr, "Its key."},
      {}};

  explicit LookupPgsql(const plugin::Host &host)
      : settings_(read_settings(host)),
        query_(host.option("query"), Placeholder::Dollar),
        table_(host),
        pool_({settings_.hosts.size(), std::chrono::nanoseconds{host.duration("retry_interval")},
               std::chrono::nanoseconds{host.duration("idle_interval")}},
              [this](std::size_t server, std::string &why) {
                return PgsqlConnection::connect(settings_, settings_.hosts[server], why);
              }) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  plugin::Reply lookup(std::string_view, std::string_view raw) {
    const auto key = table_.key(raw);
    const auto parameters = key ? query_.bind(*key) : std::nullopt;
    if (!parameters) return plugin::not_found();
    return reply(pool_.ask([&](PgsqlConnection &c, std::string &why) {
      return c.ask(query_.text(), *parameters, Table::Values{table_, *key}, why);
    }));
  }

 private:
  PgsqlSettings settings_;
  SqlQuery query_;
  Table table_;
  Pool<PgsqlConnection> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupPgsql)
