#include "kernel/config/rate.hpp"

#include <string>

#include "kernel/config/values.hpp"

namespace mansio::config {

std::optional<Nanos> parse_rate(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const auto count = parse_integer(text.substr(0, slash));
  auto time = std::string{text.substr(slash + 1)};
  if (!count || *count <= 0 || *count > 1'000'000'000 || time.empty()) return std::nullopt;
  if (time.front() < '0' || time.front() > '9') time.insert(0, "1");
  const auto duration = parse_duration(time);
  if (!duration || *duration <= 0 || *duration < *count) return std::nullopt;
  return *duration / *count;
}

}  // namespace mansio::config
