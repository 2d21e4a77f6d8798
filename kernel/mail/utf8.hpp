// UTF-8 as mail needs it: is this text well formed (RFC 3629: no surrogates, no overlong forms), does it
// need SMTPUTF8 at all, and what may stand in for it where only ASCII is allowed.
#pragma once

#include <string>
#include <string_view>

namespace mansio {

bool is_ascii(std::string_view text);    // no octet above 127; fast on long text
bool valid_utf8(std::string_view text);  // ASCII is

// Printable text for a header or a report: line ends and tabs become spaces, other controls '?', and so does each octet
// above 127 unless `keep_utf8` and the whole text is valid UTF-8. No CR or LF is left, so it cannot begin another line.
std::string printable(std::string_view text, bool keep_utf8);

// ASCII letters only: the locale and Unicode play no part in the protocol's keywords.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
std::string lower(std::string_view text);
bool equals_nocase(std::string_view a, std::string_view b);

}  // namespace mansio
