// A name with its weight, as lists of names that share something have them: "new=1"; "new" alone weighs 1.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::config {

struct Weighted {
  std::string name;
  std::uint32_t weight = 1;
};
std::optional<Weighted> parse_weighted(std::string_view text);

}  // namespace mansio::config
