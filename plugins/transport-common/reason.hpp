// An enhanced status code (RFC 3463) before a text, "5.1.1 no such user": how next hops of transport-error, programs
// and web servers say why they do not take a message. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "mansio/plugin.hpp"

namespace mansio::transport {

struct Reason {
  plugin::Enhanced enhanced;  // of class 4 or 5
  std::string_view text;      // what follows, without blanks around it; may be empty
};

// Nothing when the text, after blanks, does not begin with a code of class 4 or 5.
std::optional<Reason> parse_reason(std::string_view text);

}  // namespace mansio::transport
