// PLAIN (RFC 4616) and LOGIN, for plugins that judge a name and a password and leave the rest to this. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mansio/auth.hpp"

namespace mansio::sasl {

struct Credentials {
  std::string user, password;
};

// What the client hears, or who it says it is. `name` is what LOGIN has to remember between its steps.
std::variant<plugin::Reply, Credentials> hear(const plugin::AuthStep &step, std::optional<std::string> &name);

// 1 to 255 octets of UTF-8 (RFC 4616 section 2) without control characters. Others nobody has, a database may choke on
// them, and the host takes no others for who a client is.
bool is_name(std::string_view text);

}  // namespace mansio::sasl
