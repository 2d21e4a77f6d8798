// What a table that maps addresses to addresses answers, read: a list of addresses, separated by commas, each with or
// without angle brackets. Pure, on bytes that another server sent. RFC 5322's groups and comments are not part of it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::route {

struct AddressRules {
  std::string_view asked{};      // the address that was looked up: "@other.example" keeps its user
  std::string_view extension{};  // that the key left out; "" if none
  bool propagate = false;        // to add it to what was found
  std::string_view origin{};     // the domain of addresses without one
  std::size_t length_limit = 1000;
};

// At least one address, in the form of to_string(Address). An error says what is wrong with the answer.
Result<std::vector<std::string>> parse_addresses(std::span<const std::string> values, const AddressRules &rules);

}  // namespace mansio::route
