// Fields of a value and parameters: Content-Type, Content-Disposition and Content-Transfer-Encoding (RFC 2045, 2183,
// 2231). What is not as it should be is taken for what mail programs take it for. Pure.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::mime {

struct Parameterized {
  std::string value;  // in lower case, without comments and blanks
  // By names in lower case. Those of RFC 2231 are put together and in UTF-8; others are as they stand there, without
  // quotes. The first of a name counts, and before it the one that says its charset ("filename*").
  std::map<std::string, std::string, std::less<>> parameters;

  std::string_view parameter(std::string_view name) const;  // "" when there is none
};

// `field` is unfolded, or has line breaks that count as blanks.
Parameterized parse_parameterized(std::string_view field);

// The type of a part, by its Content-Type, if it has one. What names no type is text/plain, in a digest message/rfc822.
Parameterized content_type(std::optional<std::string_view> field, bool in_digest);

// The file's name, of Content-Disposition or else Content-Type: decoded to UTF-8 (also from RFC 2047, which many write
// there), without control characters and blanks at its ends. "" when there is none.
std::string file_name(const Parameterized &disposition, const Parameterized &type);

}  // namespace mansio::mime
