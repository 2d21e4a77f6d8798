// Domain names: their forms in ASCII and in Unicode (IDNA 2008, by libidn2), and what of one is a public suffix, below
// which strangers register names (the public suffix list, by libpsl).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio::lua {

// A name, or why there is none.
struct DomainName {
  std::string name;        // "" when there is none
  std::string_view why{};  // of static duration
};

// In lower case and A-labels ("xn--"), of labels of letters, digits, "-" and "_", without a dot behind the last one.
DomainName ascii_domain(std::string_view text);
// The same with U-labels, in UTF-8.
DomainName unicode_domain(std::string_view text);

struct PublicSuffix {
  std::string suffix;       // "co.uk" of "a.b.co.uk"; the last label where the list knows no other
  bool listed = false;      // the list has it, and it is no guess
  std::string registrable;  // "b.co.uk"; "" when the name is a suffix itself
};
// Of a name as ascii_domain() makes them; nothing for an IPv4 address. From any thread.
std::optional<PublicSuffix> public_suffix(const std::string &name);

}  // namespace mansio::lua
