// The name by which DSPAM knows a recipient. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio::dspam {

// user@EXAMPLE.com as user@example.com: a domain's case means nothing.
std::string fold_domain(std::string_view address);

// fold_domain(), and of the local part the mailbox: in lower case if `fold_case`, without its extension, which begins
// at any of `delimiters`. A quoted one has no extension.
std::string mailbox_of(std::string_view address, bool fold_case, std::string_view delimiters);

// A text with {address}, {local} and {domain} in it, or a name that is everybody's.
class UserTemplate {
 public:
  // Nothing: there is a brace in it that is none of these.
  static std::optional<UserTemplate> parse(std::string_view text);
  std::string of(std::string_view address) const;
  bool fixed() const { return text_.find('{') == text_.npos; }

 private:
  explicit UserTemplate(std::string_view text) : text_(text) {}
  std::string text_;
};

// Whether DSPAM's protocol can carry it, and DSPAM take it for a user.
bool is_user(std::string_view name);
// The name itself, or one that is a user: what may not stand in it is '_' then.
std::string to_user(std::string name);

}  // namespace mansio::dspam
