// The options of an LDAP table, checked. Names and meanings are those of Postfix's ldap_table(5).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "mansio/config.hpp"
#include "plugins/lookup-common/expansion.hpp"

namespace mansio::lookup {

enum class LdapBind { None, Simple, Sasl };

struct LdapSettings {
  explicit LdapSettings(const plugin::Config &config);  // throws BadConfig

  std::vector<std::string> servers;  // as URLs
  std::string search_base, query_filter;
  std::vector<std::string> result_attributes, special_attributes, leaf_attributes, terminal_attributes;
  int scope = 0, dereference = 0, size_limit = 0;
  std::int64_t recursion_limit = 0;
  bool chase_referrals = false;

  LdapBind bind = LdapBind::None;
  std::string bind_dn, bind_pw, sasl_mechs, sasl_realm, sasl_authz_id;
  std::int64_t sasl_minssf = 0;

  bool start_tls = false;
  std::string tls_ca_cert_file, tls_ca_cert_dir, tls_cert, tls_key, tls_cipher_suite;
  bool tls_require_cert = true;

  std::chrono::nanoseconds timeout{};
};

// A server of `server_host` as a URL: "host", "host:port" or a URL. Throws BadConfig.
std::string ldap_url(const std::string &server, std::int64_t default_port);

}  // namespace mansio::lookup
