// XFORWARD: telling a content filter, or whoever offers it, who brought a message into the mail system. Pure.
//
// Attributes go as xtext (RFC 3461 section 4), those that nobody knows as "[UNAVAILABLE]", and only those that the
// server named. In two commands, so that none is longer than 512 octets where its values are of a usual length.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::smtp {

// Each with its CRLF. `offered`: ForwardAttribute bits of the server's Capabilities.
std::vector<std::string> xforward_commands(const plugin::Delivery &delivery, std::uint32_t offered);

}  // namespace mansio::smtp
