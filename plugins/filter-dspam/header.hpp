// The header section of a message, as far as the filter edits it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::dspam {

struct Field {
  std::string name;
  std::uint32_t nth;  // of that name, from 1
  std::string value;  // as it stands there, folded, without the blank after the colon and the final line end
};

// Of the beginning of a message, up to its empty line or the end.
std::vector<Field> parse_fields(std::string_view message);

bool same_name(std::string_view a, std::string_view b);

// `prefix` and a blank before a subject, once. Long first lines are folded after it.
std::string tagged_subject(std::string_view prefix, std::string_view subject);

}  // namespace mansio::dspam
