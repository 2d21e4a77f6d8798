#include "plugins/mime-common/boundaries.hpp"

#include <algorithm>

namespace mansio::mime {

void Boundaries::push(std::string_view boundary, bool digest) {
  auto &level = all_.at(levels_);
  level.length = std::min(boundary.size(), kKept);
  level.cut = boundary.size() > kKept;
  level.digest = digest;
  std::copy_n(boundary.data(), level.length, level.text.data());
  ++levels_;
}

std::optional<Boundaries::Delimiter> Boundaries::match(std::string_view line) const {
  if (!line.starts_with("--")) return std::nullopt;
  line.remove_prefix(2);
  const Level *best = nullptr;
  for (std::size_t i = levels_; i-- > 0;) {
    const auto &level = all_[i];
    if (level.length > (best ? best->length : 0) && line.starts_with(std::string_view{level.text.data(), level.length}))
      best = &level;
  }
  if (!best) return std::nullopt;
  const bool closes = !best->cut && line.substr(best->length).starts_with("--");
  return Delimiter{static_cast<std::size_t>(best - all_.data()), closes};
}

}  // namespace mansio::mime
