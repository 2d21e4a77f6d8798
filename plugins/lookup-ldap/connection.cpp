#include "plugins/lookup-ldap/connection.hpp"

#include <sasl/sasl.h>

#include <algorithm>
#include <array>
#include <utility>

namespace mansio::lookup {
namespace {

timeval to_timeval(std::chrono::nanoseconds time) {
  const auto us = std::chrono::ceil<std::chrono::microseconds>(time).count();
  return {us / 1'000'000, us % 1'000'000};
}

const char *or_null(const std::string &text) { return text.empty() ? nullptr : text.c_str(); }

// What SASL asks for. The answers lie in the settings, which outlive the bind.
int interact(LDAP *, unsigned, void *defaults, void *questions) {
  const auto &s = *static_cast<const LdapSettings *>(defaults);
  for (auto *q = static_cast<sasl_interact_t *>(questions); q->id != SASL_CB_LIST_END; ++q) {
    const std::string *answer = nullptr;
    switch (q->id) {
      case SASL_CB_AUTHNAME:
        answer = &s.bind_dn;
        break;
      case SASL_CB_PASS:
        answer = &s.bind_pw;
        break;
      case SASL_CB_USER:
        answer = &s.sasl_authz_id;
        break;
      case SASL_CB_GETREALM:
        answer = &s.sasl_realm;
        break;
      default:
        break;
    }
    const bool given = answer && !answer->empty();
    q->result = given ? answer->c_str() : q->defresult ? q->defresult : "";
    q->len = static_cast<unsigned>(given ? answer->size()
                                         : std::char_traits<char>::length(static_cast<const char *>(q->result)));
  }
  return LDAP_SUCCESS;
}

}  // namespace

std::unique_ptr<LdapConnection> LdapConnection::connect(const LdapSettings &s, const std::string &url,
                                                        std::string &why) {
  LDAP *ld = nullptr;
  if (const int code = ::ldap_initialize(&ld, url.c_str()); code != LDAP_SUCCESS)
    return why = url + ": " + ::ldap_err2string(code), nullptr;
  std::unique_ptr<LdapConnection> c{new LdapConnection{s, url, ld}};
  int code = c->prepare();
  if (code == LDAP_SUCCESS && s.start_tls && !url.starts_with("ldapi:") && !url.starts_with("ldaps:"))
    code = ::ldap_start_tls_s(ld, nullptr, nullptr);
  if (code == LDAP_SUCCESS) code = c->bind();
  if (code != LDAP_SUCCESS) return why = c->explain(code), nullptr;
  return c;
}

int LdapConnection::prepare() {
  auto *ld = raw();
  const int version = LDAP_VERSION3;
  const auto limit = to_timeval(settings_.timeout);
  bool good = true;
  const auto set = [&](int option, const void *value) {
    good = good && ::ldap_set_option(ld, option, value) == LDAP_OPT_SUCCESS;
  };
  set(LDAP_OPT_PROTOCOL_VERSION, &version);
  set(LDAP_OPT_NETWORK_TIMEOUT, &limit);
  set(LDAP_OPT_TIMEOUT, &limit);
  set(LDAP_OPT_DEREF, &settings_.dereference);
  set(LDAP_OPT_REFERRALS, settings_.chase_referrals ? LDAP_OPT_ON : LDAP_OPT_OFF);
  const int require = settings_.tls_require_cert ? LDAP_OPT_X_TLS_DEMAND : LDAP_OPT_X_TLS_NEVER;
  set(LDAP_OPT_X_TLS_REQUIRE_CERT, &require);
  for (const auto &[option, value] :
       {std::pair{LDAP_OPT_X_TLS_CACERTFILE, &settings_.tls_ca_cert_file},
        std::pair{LDAP_OPT_X_TLS_CACERTDIR, &settings_.tls_ca_cert_dir},
        std::pair{LDAP_OPT_X_TLS_CERTFILE, &settings_.tls_cert}, std::pair{LDAP_OPT_X_TLS_KEYFILE, &settings_.tls_key},
        std::pair{LDAP_OPT_X_TLS_CIPHER_SUITE, &settings_.tls_cipher_suite}})
    if (!value->empty()) set(option, value->c_str());
  if (!good) return LDAP_PARAM_ERROR;
  // The files are read once there is TLS to be had; an own context, as others in the process may have other ones.
  const int client = 0;
  const bool tls = settings_.start_tls || url_.starts_with("ldaps:");
  return !tls || ::ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client) == LDAP_OPT_SUCCESS ? LDAP_SUCCESS
                                                                                           : LDAP_CONNECT_ERROR;
}

int LdapConnection::bind() {
  switch (settings_.bind) {
    case LdapBind::None:
      return LDAP_SUCCESS;
    case LdapBind::Simple: {
      berval password{settings_.bind_pw.size(), const_cast<char *>(settings_.bind_pw.data())};
      return ::ldap_sasl_bind_s(raw(), settings_.bind_dn.c_str(), LDAP_SASL_SIMPLE, &password, nullptr, nullptr,
                                nullptr);
    }
    case LdapBind::Sasl: {
      const auto properties = "minssf=" + std::to_string(settings_.sasl_minssf);
      if (::ldap_set_option(raw(), LDAP_OPT_X_SASL_SECPROPS, properties.c_str()) != LDAP_OPT_SUCCESS)
        return LDAP_PARAM_ERROR;
      return ::ldap_sasl_interactive_bind_s(raw(), nullptr, or_null(settings_.sasl_mechs), nullptr, nullptr,
                                            LDAP_SASL_QUIET, interact, const_cast<LdapSettings *>(&settings_));
    }
  }
  return LDAP_PARAM_ERROR;
}

LdapConnection::Result LdapConnection::search(const LdapSearch &search) {
  std::vector<char *> names;
  for (const auto &a : search.attributes) names.push_back(const_cast<char *>(a.c_str()));
  names.push_back(nullptr);
  auto limit = to_timeval(settings_.timeout);
  LDAPMessage *messages = nullptr;
  Result r;
  r.code = ::ldap_search_ext_s(raw(), search.base.c_str(), search.scope, search.filter.c_str(), names.data(), 0,
                               nullptr, nullptr, &limit, settings_.size_limit, &messages);
  r.messages.reset(messages);
  return r;
}

bool LdapConnection::broken(int code) {
  constexpr std::array kCodes{LDAP_SERVER_DOWN, LDAP_TIMEOUT,       LDAP_BUSY,           LDAP_UNAVAILABLE,
                              LDAP_LOCAL_ERROR, LDAP_CONNECT_ERROR, LDAP_DECODING_ERROR, LDAP_ENCODING_ERROR};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

std::string LdapConnection::explain(int code) const {
  auto text = url_ + ": " + ::ldap_err2string(code);
  char *more = nullptr;
  if (::ldap_get_option(raw(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &more) == LDAP_OPT_SUCCESS && more) {
    if (*more) text += std::string{" ("} + more + ")";
    ::ldap_memfree(more);
  }
  return text;
}

}  // namespace mansio::lookup
