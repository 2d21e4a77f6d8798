// The %-expansions of Postfix's ldap_table(5), mysql_table(5) and their like, as templates that are parsed once. Pure.
//
//   %s the value   %u its local part   %d its domain      (in a query the value is the key)
//   %S the key     %U its local part   %D its domain
//   %1 ... %9 labels of the key's domain, %1 the last one
//   %% a per cent sign
//
// What a template names and the key or value does not have suppresses the expansion: such a query is not made, such a
// result is left out.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lookup {

// Appends `part` to `to` in a form that the backend takes as data and nothing else.
using Escape = void (*)(std::string &to, std::string_view part);
void verbatim(std::string &to, std::string_view part);

// An address as local part and domain, divided at its last '@'. Without one it is all local part.
struct Parts {
  std::string_view local, domain;
  bool qualified = false;
};
Parts parts_of(std::string_view address);

class Template {
 public:
  // `option`: whose text this is, for the BadConfig thrown at an expansion that there is not.
  Template(const char *option, std::string_view text);

  bool has_expansions() const { return expansions_; }
  // Does the key have all that the template takes from the key alone (%S %U %D %1 to %9)?
  bool covers(std::string_view key) const;
  // Nothing: suppressed.
  std::optional<std::string> expand(std::string_view key, std::string_view value, Escape escape = verbatim) const;

 private:
  enum class Kind { Literal, Value, ValueLocal, ValueDomain, Key, KeyLocal, KeyDomain, Label };
  struct Piece {
    Kind kind;
    std::string literal;    // of Literal
    std::size_t label = 0;  // of Label, from 1
  };
  static std::optional<std::string_view> part(const Piece &piece, std::string_view key, std::string_view value);

  std::vector<Piece> pieces_;
  bool expansions_ = false;
};

}  // namespace mansio::lookup
