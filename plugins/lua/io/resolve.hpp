// The addresses of a host, asked of the host's DNS unless it is one, or "localhost".
#pragma once

#include <string>
#include <vector>

#include "mansio/loop.hpp"

namespace mansio::lua {

struct Addresses {
  std::vector<std::string> list;  // IPv4 and IPv6, without brackets
  std::string why;                // there are none
};

plugin::Task<Addresses> resolve(plugin::Host host, std::string name, plugin::Cancel &cancel);

}  // namespace mansio::lua
