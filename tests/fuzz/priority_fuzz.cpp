// The header field that has a priority: its name up to the first colon, then its value. Whatever it is, what comes out
// is a priority, and in a comment it says nothing.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/ingress/priority.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::priority {

MANSIO_FUZZ_TARGET("priority-fuzz", data, size) {
  const std::string_view input{reinterpret_cast<const char *>(data), size};
  const auto colon = std::min(input.find(':'), size);
  const auto name = input.substr(0, colon), value = input.substr(std::min(colon + 1, size));
  const auto priority = ingress::priority_of_field(name, value);
  if (!priority) return 0;
  require(*priority >= -9 && *priority <= 9);
  require(ingress::priority_of_field(name, "(9) " + std::string{value}) == priority);
  require(!ingress::priority_of_field(name, "(" + std::string{value}) || value.find(')') != value.npos);
  return 0;
}

}  // namespace mansio::fuzz::priority
