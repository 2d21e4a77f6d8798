// From a next hop to the server addresses to try, by the host's DNS service (RFC 5321 section 5.1, RFC 7505).
#pragma once

#include <optional>
#include <vector>

#include "plugins/transport-smtp/client/connection.hpp"

namespace mansio::smtp {

struct Resolution {
  std::vector<Target> targets;  // in the order to try; empty: see failure
  std::optional<plugin::Reply> failure;
};
Task<Resolution> resolve(const Context &context, NextHop nexthop, Cancel &cancel);

}  // namespace mansio::smtp
