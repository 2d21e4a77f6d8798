// lookup-mysql: asks MariaDB or MySQL. Options and behaviour: README.md.
#include <chrono>
#include <string>
#include <string_view>

#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/sql.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-mysql/connection.hpp"

namespace mansio::lookup {
namespace {

MysqlSettings read_settings(const plugin::Config &config) {
  MysqlSettings s;
  plugin::Problems problems{config};
  problems.of([&] { s.hosts = parse_endpoints("hosts", config.list("hosts"), 3306); });
  s.user = config.option("user");
  s.password = config.option("password");
  s.dbname = config.option("dbname");
  s.charset = config.option("charset");
  s.option_file = config.option("option_file");
  s.option_group = config.option("option_group");
  s.tls_ca_file = config.option("tls_CAfile");
  s.tls_ca_path = config.option("tls_CApath");
  s.tls_cert_file = config.option("tls_cert_file");
  s.tls_key_file = config.option("tls_key_file");
  s.tls_ciphers = config.option("tls_ciphers");
  s.tls_verify_cert = config.flag("tls_verify_cert");
  s.require_result_set = config.flag("require_result_set");
  s.tls = config.flag("tls");
  for (const auto *given : {&s.tls_ca_file, &s.tls_ca_path, &s.tls_cert_file, &s.tls_key_file, &s.tls_ciphers})
    s.tls = s.tls || !given->empty();
  problems.of([&] { s.timeout = positive_duration(config, "timeout"); });
  problems.of([&] { SqlQuery(config.option("query"), Placeholder::Question); });
  problems.of([&] { Table{config}; });
  problems.end();
  return s;
}

class LookupMysql {
 public:
  static constexpr plugin::Info info{"lookup-mysql", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"hosts", MANSIO_OPT_LIST, 0, "unix:/run/mysqld/mysqld.sock",
       "Servers in the order of preference: `unix:/path`, `host` or `host:port`."},
      {"user", MANSIO_OPT_TEXT, 0, nullptr, "Name to log in with."},
      {"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr, "Password to log in with."},
      {"dbname", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr, "Database."},
      {"query", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
       "SELECT or CALL statement; within single quotes `%s` is the key, `%u` and `%d` its local part and domain, `%1` "
       "to "
       "`%9` labels of the domain from the last. Every column of every row is a value."},
      {"require_result_set", MANSIO_OPT_BOOLEAN, 0, "true",
       "A query that gives no result set, such as a procedure that came by no SELECT, is \"try later\" instead of not "
       "found."},
      kResultFormat,
      kDomain,
      kExpansionLimit,
      kFoldCase,
      {"timeout", MANSIO_OPT_DURATION, 0, "4s",
       "Longest wait for a connection, and for an answer; counted in whole seconds."},
      kRetryInterval,
      kIdleInterval,
      {"charset", MANSIO_OPT_TEXT, 0, "utf8mb4", "Character set of the connection."},
      {"option_file", MANSIO_OPT_PATH, 0, nullptr, "A my.cnf to read options of the client library from."},
      {"option_group", MANSIO_OPT_TEXT, 0, nullptr, "Its group to read besides `client`."},
      {"tls", MANSIO_OPT_BOOLEAN, 0, "false",
       "Connections over TCP use TLS, or are not made; the options for files and ciphers imply it."},
      {"tls_CAfile", MANSIO_OPT_PATH, 0, nullptr, "Certificates of the authorities that a server's may be from."},
      {"tls_CApath", MANSIO_OPT_PATH, 0, nullptr, "The same as a directory with hashed names."},
      {"tls_cert_file", MANSIO_OPT_PATH, 0, nullptr, "Certificate of this client."},
      {"tls_key_file", MANSIO_OPT_PATH, 0, nullptr, "Its key."},
      {"tls_ciphers", MANSIO_OPT_TEXT, 0, nullptr, "Ciphers to offer, as OpenSSL names them."},
      {"tls_verify_cert", MANSIO_OPT_BOOLEAN, 0, "true",
       "A server's certificate must be valid and be made out for the name in `hosts`."},
      {}};

  explicit LookupMysql(const plugin::Host &host)
      : settings_(read_settings(host)),
        query_(host.option("query"), Placeholder::Question),
        table_(host),
        pool_({settings_.hosts.size(), std::chrono::nanoseconds{host.duration("retry_interval")},
               std::chrono::nanoseconds{host.duration("idle_interval")}},
              [this](std::size_t server, std::string &why) {
                return MysqlConnection::connect(settings_, settings_.hosts[server], why);
              }) {
    ::mysql_library_init(0, nullptr, nullptr);  // once, before there are threads
  }
  static void check(const plugin::Config &config) { read_settings(config); }

  plugin::Reply lookup(std::string_view, std::string_view raw) {
    const auto key = table_.key(raw);
    const auto parameters = key ? query_.bind(*key) : std::nullopt;
    if (!parameters) return plugin::not_found();
    return reply(pool_.ask([&](MysqlConnection &c, std::string &why) {
      return c.ask(query_.text(), *parameters, Table::Values{table_, *key}, why);
    }));
  }

 private:
  MysqlSettings settings_;
  SqlQuery query_;
  Table table_;
  Pool<MysqlConnection> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupMysql)
