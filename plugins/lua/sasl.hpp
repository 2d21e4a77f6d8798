// PLAIN (RFC 4616) and LOGIN, for scripts that judge a name and a password and leave the rest to us. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mansio/auth.hpp"

namespace mansio::lua {

struct Credentials {
  std::string user, password;
};

// What the client hears, or who it says it is. `name` is what LOGIN has to remember between its steps.
std::variant<plugin::Reply, Credentials> hear(const plugin::AuthStep &step, std::optional<std::string> &name);

// 1 to 255 octets without control characters: the host takes no others for who a client is.
bool is_user(std::string_view name);

}  // namespace mansio::lua
