// Messages with 8-bit content made fit for a server without 8BITMIME (RFC 6152 section 3): leaf parts become
// quoted-printable (text) or base64, 8-bit words of unstructured and address headers RFC 2047 encoded-words.
// Pure; fuzzed by tests/fuzz/mime_fuzz.cpp.
#pragma once

#include <string>
#include <string_view>

namespace mansio::smtp {

struct Conversion {
  bool ok = false;
  std::string why;      // when not ok
  std::string message;  // no octet above 127, every line ends in CRLF
};

// `message` is canonical (CRLF line ends). What is 7-bit already stays as it is, byte for byte.
Conversion convert_to_seven_bit(std::string_view message);

std::string quoted_printable(std::string_view text);  // of canonical text: CRLF stays a line break
std::string base64_lines(std::string_view bytes);     // 76 columns, CRLF after each line
// One header field, unfolded or folded, without its final CRLF; "" if it cannot be made 7-bit.
std::string encode_header(std::string_view field);

}  // namespace mansio::smtp
