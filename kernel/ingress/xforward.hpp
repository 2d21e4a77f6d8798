// XFORWARD, with which a content filter or a server before us tells whose mail it brings: attributes as xtext (RFC 3461
// section 4), "NAME=client.example ADDR=192.0.2.1". Pure, on bytes of a client that may say so.
//
// Attributes of several commands add up; what was not told of, or is "[UNAVAILABLE]" or "[TEMPUNAVAIL]", is not known.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/ingress/reply.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::ingress {

// All that we understand, as EHLO offers it.
inline constexpr std::string_view kXForwardAttributes = "NAME ADDR PORT PROTO HELO IDENT SOURCE";

// A reply is a refusal, and `origin` is as it was. Its texts are printable ASCII of at most 255 octets afterwards.
std::optional<Reply> read_xforward(std::string_view attributes, Origin &origin);

}  // namespace mansio::ingress
