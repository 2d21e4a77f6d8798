// The header section of a message, field by field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

struct Field {
  std::string name;
  std::string value;  // unfolded, without blanks at its ends
};

// The fields of a header section in canonical form. A line that is no field is left out, with what is folded to it.
std::vector<Field> parse_header(std::string_view section);

}  // namespace mansio::lua
