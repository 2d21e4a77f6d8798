// Another header section for a message whose bytes cannot change: it lies in a descriptor of its own, before the rest
// of the message, which stays where it is and is delivered from there as ever.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/host/plugin.hpp"

namespace mansio::egress {

// The field lines with which the message begins, trace headers included. (They were written a moment ago, or verified
// when the message was read back: they are in the page cache.)
Result<std::string> read_header(const host::MessageSource &message);

// The message with `header` in the place of its first `length` bytes.
Result<host::MessageSource> with_header(const host::MessageSource &message, std::uint64_t length,
                                        std::string_view header);

}  // namespace mansio::egress
