// A connection to an LDAP server, bound as the settings say. One thread at a time.
#pragma once

#include <ldap.h>

#include <memory>
#include <string>
#include <vector>

#include "plugins/lookup-ldap/settings.hpp"

namespace mansio::lookup {

struct LdapFree {
  void operator()(LDAP *ld) const { ::ldap_unbind_ext(ld, nullptr, nullptr); }
  void operator()(LDAPMessage *m) const { ::ldap_msgfree(m); }
};

struct LdapSearch {
  std::string base;
  int scope = LDAP_SCOPE_SUBTREE;
  std::string filter;
  std::vector<std::string> attributes;
};

class LdapConnection {
 public:
  // nullptr, and `why`: no connection. The settings outlive it.
  static std::unique_ptr<LdapConnection> connect(const LdapSettings &settings, const std::string &url,
                                                 std::string &why);

  struct Result {
    int code = LDAP_SUCCESS;                          // NO_SUCH_OBJECT: the base is not there
    std::unique_ptr<LDAPMessage, LdapFree> messages;  // of SUCCESS
  };
  Result search(const LdapSearch &search);
  // Does such a code mean that the connection, or its server, is of no more use?
  static bool broken(int code);
  std::string explain(int code) const;
  LDAP *raw() const { return ld_.get(); }

 private:
  LdapConnection(const LdapSettings &settings, std::string url, LDAP *ld)
      : settings_(settings), url_(std::move(url)), ld_(ld) {}
  int prepare();
  int bind();

  const LdapSettings &settings_;
  std::string url_;  // for messages
  std::unique_ptr<LDAP, LdapFree> ld_;
};

}  // namespace mansio::lookup
