// The header section of a message, as far as the filter edits it. Pure.
#pragma once

#include <cstddef>
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

constexpr std::size_t kLongestName = 100;  // of a field that the host can delete

// Of the beginning of a message, as far as the host takes it for the header section: up to the first line that is no
// field, or the end.
std::vector<Field> parse_fields(std::string_view message);

// `prefix` and a blank before a subject, once. Long first lines are folded after it.
std::string tagged_subject(std::string_view prefix, std::string_view subject);

}  // namespace mansio::dspam
