// Times as scripts write them: "500ms", "5s", "2m", "1h", "7d".
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mansio::lua {

// In nanoseconds; nothing for what is no time, or more than ten years.
inline std::optional<std::int64_t> parse_duration(std::string_view text) {
  constexpr std::int64_t kSecond = 1'000'000'000, kMost = 3650 * 86400 * kSecond;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  std::int64_t factor = 0;
  if (unit == "ms") factor = kSecond / 1000;
  if (unit == "s") factor = kSecond;
  if (unit == "m") factor = 60 * kSecond;
  if (unit == "h") factor = 3600 * kSecond;
  if (unit == "d") factor = 86400 * kSecond;
  if (factor == 0 || number > kMost / factor) return std::nullopt;
  return number * factor;
}

}  // namespace mansio::lua
