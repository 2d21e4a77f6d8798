#include "kernel/config/weighted.hpp"

#include "kernel/config/trimmed.hpp"
#include "kernel/config/values.hpp"

namespace mansio::config {

std::optional<Weighted> parse_weighted(std::string_view text) {
  constexpr std::int64_t kMost = 1'000'000;
  const auto equals = text.rfind('=');
  Weighted out{std::string{trimmed(text.substr(0, equals))}};
  if (out.name.empty()) return std::nullopt;
  if (equals == text.npos) return out;
  const auto weight = parse_integer(trimmed(text.substr(equals + 1)));
  if (!weight || *weight < 1 || *weight > kMost) return std::nullopt;
  out.weight = static_cast<std::uint32_t>(*weight);
  return out;
}

}  // namespace mansio::config
