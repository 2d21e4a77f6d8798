// From a recipient's address to the path of his Maildir. Pure: nothing here touches the disk. Addresses come from
// strangers, so what would leave the intended directory, or hide in it, names no mailbox at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace maildir {

struct Mailbox {
  std::string user;    // the local part without its extension
  std::string local;   // the local part, unquoted
  std::string domain;  // lower case
};

// Nothing when the address can name no mailbox: no '@' or an empty part; or a part with '/', a control character or a
// leading dot, or one longer than a file name may be.
std::optional<Mailbox> parse_mailbox(std::string_view address, std::string_view recipient_delimiter, bool fold_case);

// Puts the parts in for {user}, {local} and {domain}. "" when the result is longer than the system takes.
std::string expand(std::string_view pattern, const Mailbox &mailbox);

// What is wrong with a pattern, "" = nothing: it is absolute, has no ".." and only placeholders that there are.
std::string check_pattern(std::string_view pattern);

}  // namespace maildir
