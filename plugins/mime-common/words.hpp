// Encoded words (RFC 2047) and the charsets that they, and parameters, are in. What comes out is UTF-8, whatever comes
// in. Pure.
#pragma once

#include <string>
#include <string_view>

namespace mansio::mime {

// UTF-8, US-ASCII, ISO 8859-1 and -15 and windows-1252 are known, and "" is taken for UTF-8. What is no character
// there, and of any other charset each octet above 127, becomes U+FFFD: names of files keep their ends.
std::string to_utf8(std::string_view charset, std::string_view octets);

// A text with encoded words in it, decoded. Blanks between two of them are no part of it.
std::string decode_words(std::string_view text);

}  // namespace mansio::mime
