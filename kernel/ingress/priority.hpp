// Priorities as clients write them: RFC 6710's grammar, of the parameter MT-PRIORITY and of the header field
// MT-Priority (RFC 6758), and the fields that mail programs and lists write in its place. Who may ask for which is the
// same for all of them.
#pragma once

#include <optional>
#include <string_view>

namespace mansio::ingress {

// priority-value = (["-"] NZDIGIT) / "0" (RFC 6710): -9 to 9.
std::optional<int> parse_priority(std::string_view text);

// Of a header field of this name, whose value is unfolded; nothing: it says none. What stands in comments, at its
// beginning or end, does not count. Any field may have a number of RFC 6710, but in X-Priority 1 is the highest and 5
// the lowest; or one of the words of Priority (RFC 2156), Importance and Precedence.
std::optional<int> priority_of_field(std::string_view name, std::string_view value);

// Everybody may let others go first; only those we know may go before others.
inline bool may_ask_for(int priority, bool known) { return known || priority <= 0; }

}  // namespace mansio::ingress
