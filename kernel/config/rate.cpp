#include "kernel/config/rate.hpp"

#include <algorithm>
#include <chrono>
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

std::optional<Nanos> parse_date(std::string_view text) {
  constexpr std::string_view kShape = "dddd-dd-dd";
  const auto fits = [](char c, char shape) { return shape == 'd' ? c >= '0' && c <= '9' : c == shape; };
  if (text.size() != kShape.size() || !std::equal(text.begin(), text.end(), kShape.begin(), fits)) return std::nullopt;
  const auto number = [&](std::size_t at, std::size_t n) {
    return static_cast<unsigned>(*parse_integer(text.substr(at, n)));
  };
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(number(0, 4))},
                                         std::chrono::month{number(5, 2)}, std::chrono::day{number(8, 2)}};
  if (!date.ok() || date.year() < std::chrono::year{1970} || date.year() > std::chrono::year{2200}) return std::nullopt;
  return std::chrono::nanoseconds{std::chrono::sys_days{date}.time_since_epoch()}.count();
}

}  // namespace mansio::config
