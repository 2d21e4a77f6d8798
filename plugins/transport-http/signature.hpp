// The signature of a body: "sha256=" and the HMAC-SHA256 (RFC 2104) in hex digits. It goes before the body, so the body
// is read once for it and once more to be sent.
#pragma once

#include <optional>
#include <string>

#include "plugins/transport-http/body.hpp"

namespace mansio::http {

// Reads the body and rewinds it. Nothing when it cannot be read.
std::optional<std::string> signature(Body &body, const std::string &secret);

}  // namespace mansio::http
