// The header section of a message, field by field.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

struct Field {
  std::string name;
  std::string value;  // unfolded, without blanks at its ends
};

// No more than that: as many as there are lines. Room for so many is what parse_header() begins with.
inline std::size_t most_fields(std::string_view section) {
  return static_cast<std::size_t>(std::count(section.begin(), section.end(), '\n')) + 1;
}

// The fields of a header section in canonical form. A line that is no field is left out, with what is folded to it.
std::vector<Field> parse_header(std::string_view section);

}  // namespace mansio::lua
