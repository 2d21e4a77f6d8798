// Next hops as a route names them, and the order in which a destination's addresses are tried. Pure.
//
//   domain, domain:port      mail exchangers of the domain (SMTP), its addresses (LMTP)
//   [host], [host]:port      addresses of the host, no MX lookup
//   [192.0.2.1]:port, [2001:db8::1]:port, [IPv6:2001:db8::1]
//   unix:/path               a UNIX socket
//   inet:host:port           as [host]:port (Postfix's LMTP form)
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::smtp {

struct NextHop {
  enum class Kind { Domain, Host, Address, Unix };
  Kind kind = Kind::Domain;
  std::string name;        // domain or host as A-labels in lower case, address or path
  std::uint16_t port = 0;  // 0 for a UNIX socket
  bool operator==(const NextHop &) const = default;
  std::string key() const;  // equal for equal next hops
};

// nullopt: no next hop can be read from `text`.
std::optional<NextHop> parse_nexthop(std::string_view text, std::uint16_t default_port);
// The next hop of an address's own domain; address literals included.
std::optional<NextHop> nexthop_of_domain(std::string_view domain, std::uint16_t default_port);

// A-labels (IDNA 2008) of a domain in UTF-8 or ASCII, in lower case; nullopt if it is none.
std::optional<std::string> to_ascii_domain(std::string_view domain);
bool is_ip_address(std::string_view text);
// The same address always in the same text; "" if `text` is none. IPv4-mapped IPv6 becomes IPv4.
std::string canonical_ip(std::string_view text);

// One server address to try.
struct Target {
  std::string host;     // name for log, SNI and Remote-MTA; the address when there is none
  std::string address;  // IP address, or path of a UNIX socket
  std::uint16_t port = 0;
  std::uint16_t preference = 0;
  bool unix_socket = false;
  std::string label() const;  // "mx.example.com[192.0.2.1]:25"
  std::string key() const;    // of the endpoint
};

// Sorts by preference and, inside one preference, at random (`random(n)` is below n), hosts of equal preference kept
// apart by shuffling addresses; IPv6 and IPv4 alternate. Then cuts to `limit` addresses so that the limit does not
// shut out one family (Postfix smtp_balance_inet_protocols). Duplicate endpoints go.
void order_targets(std::vector<Target> &targets, std::size_t limit,
                   const std::function<std::size_t(std::size_t)> &random);

// RFC 5321 section 5.1: our own address means that we are an MX; only better ones may be tried.
// Returns our own preference when we are among them; `targets` may be empty then.
std::optional<std::uint16_t> prune_self(std::vector<Target> &targets, const std::vector<std::string> &self_addresses);

}  // namespace mansio::smtp
