// RouteTable: from sender and recipient to transport and next hop, by the configured [[route]] tables in their order.
// The first that matches wins. Pure and made once a configuration; a lookup waits for nothing.
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
};

class RouteTable {
 public:
  explicit RouteTable(const config::Settings &settings, std::span<const std::string> own_addresses = {});

  // Addresses as in the envelope: local-part@domain; "" is the null sender; a recipient without domain is in
  // myhostname. Local parts are compared without regard to (ASCII) case.
  RouteDecision route(std::string_view sender, std::string_view recipient) const;

 private:
  struct Rule {
    std::unordered_set<std::string> recipients;
    DomainSet domains;
    std::unordered_set<std::string> senders;  // "user@domain", "@domain", "<>"
    RouteDecision decision;
    bool any_recipient = true, any_domain = true, any_sender = true;
  };
  OwnDomains own_;
  std::vector<Rule> rules_;
};

}  // namespace mansio::route
