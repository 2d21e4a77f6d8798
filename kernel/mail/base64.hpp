// Base64 (RFC 4648 section 4), strict: what a decoder lets pass that is no base64 is read in another way elsewhere.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio {

std::string base64_encode(std::string_view bytes);
// Nothing unless all of `text` is base64 in its one canonical form, with padding.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace mansio
