// From a next hop to the server addresses to try, by the host's DNS service (RFC 5321 section 5.1, RFC 7505).
#pragma once

#include <optional>
#include <vector>

#include "plugins/transport-smtp/client/connection.hpp"

namespace mansio::smtp {

struct Resolution {
  std::vector<Target> targets;  // in the order to try; empty: see failure
  std::optional<plugin::Reply> failure;
  bool not_found = false;  // the failure: there is no such destination
  bool self = false;       // we are one of its mail exchangers
};
Task<Resolution> resolve(const Context &context, NextHop nexthop, Cancel &cancel);

}  // namespace mansio::smtp
