// What transports that deliver for good put before a message, and look for in it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace mansio::transport {

// Up to n bytes of the message in canonical form from offset; 0 at the end, -1 when they cannot be read.
using ReadMessage = std::function<std::int64_t(std::uint64_t offset, char *to, std::size_t n)>;

// Whether the header section has a "Delivered-To:" of this address: then the message has been here before. False too
// when it cannot be read: delivering it will tell.
bool delivered_before(const ReadMessage &read, std::string_view address);

// Addresses go into header lines: what would end one is '?'.
std::string header_safe(std::string_view text);

}  // namespace mansio::transport
