// Keys of the lists that go by next hop (tls_policy and the like). A key takes every form that a next hop has, so that
// what a route says can be copied: an exception that silently matches nothing would send mail in clear. Pure.
//
//   example.com              the domain, and the host in brackets
//   .example.com             what is below it
//   [host]                   the host in brackets alone
//   192.0.2.1, [192.0.2.1]   the address, however it is written
//   ...:port                 the same with that port alone; without it any port will do
//   unix:/path               a UNIX socket
#pragma once

#include <optional>
#include <string_view>

#include "plugins/transport-smtp/client/nexthop.hpp"

namespace mansio::smtp {

struct NextHopPattern {
  NextHop hop;  // its name starts with a dot for what is below a domain; its port is 0 for any
  bool matches(const NextHop &nexthop) const;
  // Of two that match, the one with more of the name counts, then one with a port, then one in brackets.
  bool more_specific_than(const NextHopPattern &other) const;
};

// nullopt: no next hop can match `text`.
std::optional<NextHopPattern> parse_nexthop_pattern(std::string_view text);

}  // namespace mansio::smtp
