// RelayPolicy: whether a client may send to a recipient. Mail leaves through us only for clients in mynetworks or
// authenticated ones; everyone may send to own domains. Addresses that ask us to route further (percent hack, bang
// path, source route) never turn an outsider's mail for an own domain into mail for somewhere else.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "kernel/base/status.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/route/own_domains.hpp"

namespace mansio::route {

enum class RelayVerdict : std::uint8_t { Accept, RelayDenied, UnknownUser };

struct RelayDecision {
  RelayVerdict verdict = RelayVerdict::Accept;
  std::string address;       // Accept: what to deliver to; postmaster and own address literals are rewritten here
  std::uint16_t code = 250;  // SMTP reply otherwise
  EnhancedStatus enhanced{};
  std::string text;
};

class RelayPolicy {
 public:
  // `own_addresses`: IP addresses of this host's interfaces, besides those in the settings.
  explicit RelayPolicy(const config::Settings &settings, std::span<const std::string> own_addresses = {});

  // `recipient`: local-part@domain, or "postmaster" alone (RFC 5321 section 4.5.1). `trusted`: the client is in
  // mynetworks or authenticated.
  RelayDecision decide(bool trusted, std::string_view recipient) const;
  RelayDecision decide(const config::Smtpd &listener, std::string_view client_address, bool authenticated,
                       std::string_view recipient) const;

 private:
  RelayDecision postmaster() const;
  bool known(std::string_view local, const std::string &domain) const;

  OwnDomains own_;
  std::string postmaster_;
  std::unordered_set<std::string> users_;  // "user", "user@domain", "@domain", lower case
};

}  // namespace mansio::route
