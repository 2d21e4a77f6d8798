#include "plugins/lookup-ldap/settings.hpp"

#include <ldap.h>

#include "plugins/lookup-common/endpoint.hpp"
#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-ldap/escape.hpp"

namespace mansio::lookup {
namespace {

using plugin::BadConfig;

int parse_scope(const std::string &text) {
  if (text == "sub") return LDAP_SCOPE_SUBTREE;
  if (text == "one") return LDAP_SCOPE_ONELEVEL;
  if (text == "base") return LDAP_SCOPE_BASE;
  throw BadConfig{"scope", "is \"" + text + "\", expected \"sub\", \"one\" or \"base\""};
}

LdapBind parse_bind(const std::string &text) {
  if (text == "no" || text == "none") return LdapBind::None;
  if (text == "yes" || text == "simple") return LdapBind::Simple;
  if (text == "sasl") return LdapBind::Sasl;
  throw BadConfig{"bind", "is \"" + text + "\", expected \"no\", \"none\", \"yes\", \"simple\" or \"sasl\""};
}

std::int64_t parse_number(const plugin::Config &config, const char *option, std::int64_t least, std::int64_t most) {
  const auto n = config.integer(option);
  if (n < least || n > most)
    throw BadConfig{option, "is " + std::to_string(n) + ", expected a number from " + std::to_string(least) + " to " +
                                std::to_string(most)};
  return n;
}

// With expansions it is a name only once they are made.
std::string parse_base(const std::string &text) {
  const Template base{"search_base", text};
  const auto sample = base.expand("a@b.c.d.e.f.g.h.i.j.k", "a@b.c.d.e.f.g.h.i.j.k", escape_dn);
  LDAPDN dn = nullptr;
  if (sample && ::ldap_str2dn(sample->c_str(), &dn, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS) {
    ::ldap_dnfree(dn);
    return text;
  }
  throw BadConfig{"search_base", "is \"" + text + "\", expected a name such as \"ou=people,dc=example,dc=com\""};
}

std::string parse_filter(const std::string &text) {
  const Template filter{"query_filter", text};
  const auto sample = filter.expand("a@b.c.d.e.f.g.h.i.j.k", "a@b.c.d.e.f.g.h.i.j.k", escape_filter);
  int depth = 0;
  bool good = sample && sample->find('=') != std::string::npos;
  for (std::size_t i = 0; good && i < sample->size(); ++i) {
    depth += (*sample)[i] == '(' ? 1 : (*sample)[i] == ')' ? -1 : 0;
    good = depth >= 0;
  }
  if (good && depth == 0) return text;
  throw BadConfig{"query_filter", "is \"" + text + "\", expected a filter such as \"(mail=%s)\""};
}

}  // namespace

std::string ldap_url(const std::string &server, std::int64_t default_port) {
  if (server.find("://") == std::string::npos)
    return "ldap://" + parse_endpoint("server_host", server, static_cast<std::uint16_t>(default_port)).name();
  LDAPURLDesc *url = nullptr;
  const bool good = ::ldap_is_ldap_url(server.c_str()) && ::ldap_url_parse(server.c_str(), &url) == LDAP_URL_SUCCESS;
  if (url) ::ldap_free_urldesc(url);
  if (good) return server;
  throw BadConfig{"server_host", "has \"" + server +
                                     "\", expected a server such as \"ldap.example.com\" or "
                                     "\"ldaps://ldap.example.com\""};
}

LdapSettings::LdapSettings(const plugin::Config &config) {
  plugin::Problems problems{config};
  std::int64_t port = 389;
  problems.of([&] { port = parse_number(config, "server_port", 1, 65535); });
  problems.of([&] {
    for (const auto &server : config.list("server_host")) servers.push_back(ldap_url(server, port));
    if (servers.empty()) throw BadConfig{"server_host", "is empty, expected at least one server"};
  });
  problems.of([&] { search_base = parse_base(config.option("search_base")); });
  problems.of([&] { query_filter = parse_filter(config.option("query_filter")); });
  result_attributes = config.list("result_attribute");
  special_attributes = config.list("special_result_attribute");
  leaf_attributes = config.list("leaf_result_attribute");
  terminal_attributes = config.list("terminal_result_attribute");
  problems.of([&] {
    if (result_attributes.empty() && leaf_attributes.empty() && terminal_attributes.empty())
      throw BadConfig{"result_attribute", "is empty, and so are leaf_result_attribute and terminal_result_attribute"};
  });
  problems.of([&] { scope = parse_scope(config.option("scope")); });
  problems.of([&] { dereference = static_cast<int>(parse_number(config, "dereference", 0, 3)); });
  problems.of([&] { size_limit = static_cast<int>(parse_number(config, "size_limit", 0, 1'000'000'000)); });
  problems.of([&] { recursion_limit = parse_number(config, "recursion_limit", 1, 1'000'000); });
  chase_referrals = config.flag("chase_referrals");
  problems.of([&] { bind = parse_bind(config.option("bind")); });
  bind_dn = config.option("bind_dn");
  bind_pw = config.option("bind_pw");
  problems.of([&] {
    // To servers such a bind is an anonymous one, which is not what was meant.
    if (bind == LdapBind::Simple && !bind_dn.empty() && bind_pw.empty())
      throw BadConfig{"bind_pw", "is not given, expected a password for bind_dn"};
  });
  sasl_mechs = config.option("sasl_mechs");
  sasl_realm = config.option("sasl_realm");
  sasl_authz_id = config.option("sasl_authz_id");
  problems.of([&] { sasl_minssf = parse_number(config, "sasl_minssf", 0, 65535); });
  start_tls = config.flag("start_tls");
  tls_ca_cert_file = config.option("tls_ca_cert_file");
  tls_ca_cert_dir = config.option("tls_ca_cert_dir");
  tls_cert = config.option("tls_cert");
  tls_key = config.option("tls_key");
  tls_cipher_suite = config.option("tls_cipher_suite");
  tls_require_cert = config.flag("tls_require_cert");
  problems.of([&] { timeout = positive_duration(config, "timeout"); });
  problems.end();
}

}  // namespace mansio::lookup
