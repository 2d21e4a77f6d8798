// RelayPolicy: whether a client may send to a recipient. Mail leaves through us only for clients in mynetworks or
// authenticated ones; everyone may send to own domains. Addresses that ask us to route further (percent hack, bang
// path, source route) never turn an outsider's mail for an own domain into mail for somewhere else.
//
// decide() needs the settings only. Where tables have domains or users, what they say is found first (RecipientTables)
// and admit() decides with it.
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
  std::string address;  // Accept: what to deliver to; postmaster and own address literals are rewritten here
  DomainClass domain = DomainClass::Foreign;  // of the recipient
  bool to_postmaster = false;                 // who may be unknown: then postmaster() is the answer
  bool final = false;                         // not to be asked whether the user exists
  std::uint16_t code = 250;                   // SMTP reply otherwise
  EnhancedStatus enhanced{};
  std::string text;
};

class RelayPolicy {
 public:
  // `own_addresses`: IP addresses of this host's interfaces, besides those in the settings.
  explicit RelayPolicy(const config::Settings &settings, std::span<const std::string> own_addresses = {});

  // `recipient`: local-part@domain, or "postmaster" alone (RFC 5321 section 4.5.1). `trusted`: the client is in
  // mynetworks or authenticated. `known_only`: a user that local_recipients has not is refused.
  RelayDecision decide(bool trusted, std::string_view recipient, bool known_only = true) const;
  RelayDecision decide(const config::Smtpd &listener, std::string_view client_address, bool authenticated,
                       std::string_view recipient) const;

  // Where a recipient is, in the form by which the class of its domain is found.
  struct Place {
    std::string domain;  // canonical, an own address literal as this host's name; "" for "postmaster" alone
    bool host = false;   // this host itself
  };
  Place place_of(std::string_view recipient) const;
  DomainClass class_of(const Place &place) const { return own_.class_of(place.domain); }
  // All of it but whether the user exists.
  RelayDecision admit(bool trusted, std::string_view recipient, const Place &place, DomainClass of_domain) const;
  bool lists_users() const { return !users_.empty(); }
  bool lists(std::string_view local, const std::string &domain) const;  // one of local_recipients
  RelayDecision postmaster() const;
  const OwnDomains &own() const { return own_; }

 private:
  OwnDomains own_;
  std::string postmaster_;
  std::unordered_set<std::string> users_;  // "user", "user@domain", "@domain", lower case
};

}  // namespace mansio::route
