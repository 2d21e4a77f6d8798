// The values of RFC 3461's ESMTP parameters (NOTIFY, RET, ENVID, ORCPT) and the encodings they travel in: xtext
// (RFC 3461 section 4) and, for addresses of type utf-8, RFC 6533's utf-8-addr-xtext and utf-8-addr-unitext.
//
// Decoded values hold no control characters, so they may be written into headers, reports and logs as they are.
// Errors are Status::Fail, 5.5.4, with a text for the reply.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio {

std::string xtext_encode(std::string_view text);
std::optional<std::string> xtext_decode(std::string_view text);  // nullopt unless it is xtext

// "\x{HEX}" for what is not plain; with `unitext`, UTF-8 stays as it is (only inside SMTPUTF8 sessions).
std::string utf8_xtext_encode(std::string_view address, bool unitext);
// Takes all three forms of RFC 6533 section 3; the result is valid UTF-8.
std::optional<std::string> utf8_xtext_decode(std::string_view text);

Result<std::uint8_t> parse_notify(std::string_view value);  // "NEVER", "SUCCESS,DELAY": Notify bits
Result<Ret> parse_ret(std::string_view value);              // "FULL", "HDRS"
Result<std::string> parse_envid(std::string_view value);    // decoded; at most 100 characters as sent
// Decoded, "rfc822;user@example.com" with the type in lower case; at most 500 characters as sent.
Result<std::string> parse_orcpt(std::string_view value, bool smtputf8);

std::string format_notify(std::uint8_t notify);  // "NEVER", "SUCCESS,FAILURE"; "" for none
// The parameter value for a decoded ORCPT. `smtputf8`: the session that will carry it has it.
std::string format_orcpt(std::string_view orcpt, bool smtputf8);

}  // namespace mansio
