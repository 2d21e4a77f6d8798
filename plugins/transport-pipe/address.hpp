// The parts of an address as pipe(8) has them, and its 'q', 'h' and 'u' for whole addresses. Pure.
//
// An address comes in the form of RFC 5321, where an odd local part is quoted. A command gets the local part itself
// unless 'q' asks for the quotes.
#pragma once

#include <string>
#include <string_view>

namespace mansio::pipe {

struct Address {
  std::string local;   // without quotes
  std::string domain;  // empty when there is no '@'
};

Address parse_address(std::string_view address);

struct AddressForm {
  bool quote = false;        // 'q'
  bool fold_domain = false;  // 'h'
  bool fold_local = false;   // 'u'
};
std::string to_string(const Address &address, const AddressForm &form);

// user+extension: the first of these characters in the local part divides it, but not at its very front. Names that
// mail needs (postmaster, double-bounce) have no extension, nor have "owner-list" and "list-request" with the delimiter
// '-'.
struct Split {
  std::string_view user, extension;
};
Split split_local(std::string_view local, std::string_view recipient_delimiter);

}  // namespace mansio::pipe
