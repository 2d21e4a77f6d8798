// lookup-ldap: asks an LDAP directory. Options and behaviour: README.md.
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/lookup-common/pool.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-ldap/connection.hpp"
#include "plugins/lookup-ldap/escape.hpp"
#include "plugins/lookup-ldap/query.hpp"
#include "plugins/lookup-ldap/settings.hpp"

namespace mansio::lookup {
namespace {

class LookupLdap {
 public:
  static constexpr plugin::Info info{"lookup-ldap", "1.0", MANSIO_NEEDS_NETWORK, MANSIO_BLOCKING, 8};
  static constexpr mansio_option options[] = {
      {"server_host", MANSIO_OPT_LIST, 0, "localhost",
       "Servers in the order of preference: `host`, `host:port`, or URLs with `ldap://`, `ldaps://` or `ldapi://`."},
      {"server_port", MANSIO_OPT_INTEGER, 0, "389", "Port of servers that are named without."},
      {"search_base", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr,
       "Name under which to search; it may have the expansions of `query_filter`."},
      {"query_filter", MANSIO_OPT_TEXT, 0, "(mailacceptinggeneralid=%s)",
       "Filter of the search; `%s` is the key, `%u` and `%d` its local part and domain, `%1` to `%9` labels of the "
       "domain from the last."},
      {"result_attribute", MANSIO_OPT_LIST, 0, "maildrop", "Attributes whose values are the answer."},
      {"special_result_attribute", MANSIO_OPT_LIST, 0, nullptr,
       "Attributes with names of entries, or LDAP URLs, that are searched in turn."},
      {"leaf_result_attribute", MANSIO_OPT_LIST, 0, nullptr,
       "As `result_attribute`, but of entries without `special_result_attribute` only."},
      {"terminal_result_attribute", MANSIO_OPT_LIST, 0, nullptr,
       "Attributes that, where an entry has one, alone count of this entry."},
      {"scope", MANSIO_OPT_TEXT, 0, "sub", "Entries to search: sub, one (level below `search_base`) or base."},
      kResultFormat,
      kDomain,
      kExpansionLimit,
      {"size_limit", MANSIO_OPT_INTEGER, 0, "0",
       "Most entries of one search; one that finds more ends in \"try later\". 0 means any number."},
      {"recursion_limit", MANSIO_OPT_INTEGER, 0, "1000", "Most references from entry to entry in a chain."},
      kFoldCase,
      {"bind", MANSIO_OPT_TEXT, 0, "yes", "Log in: no or none, yes or simple, sasl."},
      {"bind_dn", MANSIO_OPT_TEXT, 0, nullptr,
       "Name to log in with, empty for an anonymous simple bind; with sasl the authentication id."},
      {"bind_pw", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, nullptr, "Password to log in with."},
      {"sasl_mechs", MANSIO_OPT_TEXT, 0, nullptr, "SASL mechanisms to try, divided by blanks; empty means any."},
      {"sasl_realm", MANSIO_OPT_TEXT, 0, nullptr, "SASL realm."},
      {"sasl_authz_id", MANSIO_OPT_TEXT, 0, nullptr, "SASL authorization id to ask for."},
      {"sasl_minssf", MANSIO_OPT_INTEGER, 0, "0", "Least SASL security strength factor."},
      {"start_tls", MANSIO_OPT_BOOLEAN, 0, "false", "StartTLS on `ldap://` connections, or they are not used."},
      {"tls_ca_cert_file", MANSIO_OPT_PATH, 0, nullptr, "Certificates of the authorities that a server's may be from."},
      {"tls_ca_cert_dir", MANSIO_OPT_PATH, 0, nullptr, "The same as a directory with hashed names."},
      {"tls_cert", MANSIO_OPT_PATH, 0, nullptr, "Certificate of this client."},
      {"tls_key", MANSIO_OPT_PATH, 0, nullptr, "Its key."},
      {"tls_require_cert", MANSIO_OPT_BOOLEAN, 0, "true",
       "A server's certificate must be valid and be made out for the name in `server_host`."},
      {"tls_cipher_suite", MANSIO_OPT_TEXT, 0, nullptr, "Ciphers to offer, as the library of libldap names them."},
      {"timeout", MANSIO_OPT_DURATION, 0, "4s", "Longest wait for a connection, and for the answer to a search."},
      {"dereference", MANSIO_OPT_INTEGER, 0, "0",
       "When LDAP's aliases are followed: 0 never, 1 when searching, 2 when locating the base, 3 always."},
      {"chase_referrals", MANSIO_OPT_BOOLEAN, 0, "false", "Referrals to other servers are followed."},
      kRetryInterval,
      kIdleInterval,
      {}};

  explicit LookupLdap(const plugin::Host &host)
      : settings_(host),
        base_("search_base", settings_.search_base),
        filter_("query_filter", settings_.query_filter),
        table_(host),
        pool_({settings_.servers.size(), std::chrono::nanoseconds{host.duration("retry_interval")},
               std::chrono::nanoseconds{host.duration("idle_interval")}},
              [this](std::size_t server, std::string &why) {
                return LdapConnection::connect(settings_, settings_.servers[server], why);
              }) {}
  static void check(const plugin::Config &config) {
    plugin::Problems problems{config};
    problems.of([&] { LdapSettings{config}; });
    problems.of([&] { Table{config}; });
    problems.end();
  }

  plugin::Reply lookup(std::string_view, std::string_view raw) {
    const auto key = table_.key(raw);
    if (!key) return plugin::not_found();
    const auto base = base_.expand(*key, *key, escape_dn);
    const auto filter = filter_.expand(*key, *key, escape_filter);
    if (!base || !filter) return plugin::not_found();
    return reply(pool_.ask([&](LdapConnection &c, std::string &why) {
      return LdapQuery{settings_, c, Table::Values{table_, *key}}.run(*base, base_.has_expansions(), *filter, why);
    }));
  }

 private:
  LdapSettings settings_;
  Template base_, filter_;
  Table table_;
  Pool<LdapConnection> pool_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupLdap)
