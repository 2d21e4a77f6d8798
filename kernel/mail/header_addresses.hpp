// Where the addresses stand in a header field that holds a list of them (RFC 5322 section 3.4), so that one can be put
// in the place of another and all the rest, names, comments and folding, stays as it was.
//
// Pure, on bytes of a message that anybody wrote. What is not understood is not found: an address with comments or line
// ends inside, or without a domain.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace mansio {

struct AddressSpan {
  std::size_t at = 0, length = 0;
  bool operator==(const AddressSpan &) const = default;
};
// In `body`, the text after the colon, or all of a field.
std::vector<AddressSpan> find_addresses(std::string_view body);

// Whose addresses a field has; nullopt: it is no field of addresses.
enum class FieldClass : std::uint8_t { Sender, Recipient };
std::optional<FieldClass> address_field(std::string_view name);

}  // namespace mansio
