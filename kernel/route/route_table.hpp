// RouteTable: from sender and recipient to transport and next hop, by the configured [[route]] tables in their order.
// The first that matches wins. Pure and made once a configuration; a lookup waits for nothing.
//
// Mail for the postmaster of this host or an own domain always has a way (RFC 5321 section 4.5.1): where a route
// refuses it, it goes to the `postmaster` setting's address, else to an own domain's postmaster whose route
// delivers, else with the transport that delivers other mail of an own domain.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "kernel/base/status.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/route/own_domains.hpp"

namespace mansio::route {

// An SMTP reply that a route gives instead of a way.
struct Refusal {
  std::uint16_t code = 550;
  EnhancedStatus enhanced{};
  std::string text;
  bool operator==(const Refusal &) const = default;
};
std::optional<Refusal> parse_refusal(std::string_view text);  // "550 5.1.1 no such user"

struct RouteDecision {
  Route route;                     // meaningful when there is no refusal
  std::optional<Refusal> refusal;  // code 4xx: defer or 4xx reply; 5xx: bounce or 5xx reply
  std::string address;             // deliver to this one instead; "": to the one that was asked for
};

class RouteTable {
 public:
  explicit RouteTable(const config::Settings &settings, std::span<const std::string> own_addresses = {});

  // Addresses as in the envelope: local-part@domain; "" is the null sender; a recipient without domain is in
  // myhostname. Local parts are compared without regard to (ASCII) case.
  RouteDecision route(std::string_view sender, std::string_view recipient) const;

 private:
  RouteDecision match(std::string_view sender, std::string_view recipient) const;
  bool is_own_postmaster(std::string_view recipient) const;

  struct Rule {
    std::unordered_set<std::string> recipients;
    DomainSet domains;
    std::unordered_set<std::string> senders;  // "user@domain", "@domain", "<>"
    RouteDecision decision;
    bool any_recipient = true, any_domain = true, any_sender = true;
  };
  OwnDomains own_;
  std::vector<Rule> rules_;
  std::vector<std::string> postmasters_;       // who may stand in for a postmaster whose route refuses, best first
  std::optional<RouteDecision> own_delivery_;  // by a route for own domains, if one delivers
};

}  // namespace mansio::route
