#include "kernel/config/values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <vector>

namespace mansio::config {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first; the first name of a factor is the one that is printed.
constexpr std::uint64_t kNs = 1'000'000'000;
constexpr Unit kDurations[] = {{"w", 604800 * kNs}, {"d", 86400 * kNs}, {"h", 3600 * kNs}, {"m", 60 * kNs},
                               {"s", kNs},          {"ms", 1'000'000},  {"us", 1000},      {"ns", 1}};
constexpr Unit kSizes[] = {
    {"T", 1ull << 40},   {"TiB", 1ull << 40}, {"G", 1ull << 30}, {"GiB", 1ull << 30}, {"M", 1ull << 20},
    {"MiB", 1ull << 20}, {"K", 1ull << 10},   {"k", 1ull << 10}, {"KiB", 1ull << 10}, {"B", 1}};

std::optional<std::uint64_t> parse_scaled(std::string_view text, std::span<const Unit> units, std::uint64_t bare) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return std::nullopt;
  auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  std::uint64_t factor = bare;
  if (!unit.empty()) {
    const auto found = std::find_if(units.begin(), units.end(), [&](const Unit &u) { return u.name == unit; });
    if (found == units.end()) return std::nullopt;
    factor = found->factor;
  }
  if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor) return std::nullopt;
  return number * factor;
}

// Insertions, deletions, replacements and swaps of neighbours ("smpt" is one slip away from "smtp").
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last.back();
}

}  // namespace

std::optional<Nanos> parse_duration(std::string_view text) {
  const auto value = parse_scaled(text, kDurations, kNs);
  if (!value) return std::nullopt;
  return static_cast<Nanos>(*value);
}

std::string print_duration(Nanos duration) {
  const auto value = static_cast<std::uint64_t>(duration);
  if (value == 0) return "0s";
  for (const auto &unit : kDurations) {
    if (unit.name != "w" && value % unit.factor == 0) return fmt::format("{}{}", value / unit.factor, unit.name);
  }
  return fmt::format("{}ns", value);
}

std::optional<std::uint64_t> parse_size(std::string_view text) { return parse_scaled(text, kSizes, 1); }

std::string print_size(std::uint64_t size) {
  for (const auto &unit : kSizes) {
    if (unit.factor > 1 && size != 0 && size % unit.factor == 0)
      return fmt::format("{}{}", size / unit.factor, unit.name);
  }
  return fmt::format("{}", size);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::size_t utf8_prefix(std::string_view s) {
  std::size_t i = 0;
  while (i < s.size()) {
    const auto byte = [&](std::size_t at) { return at < s.size() ? static_cast<unsigned char>(s[at]) : 0u; };
    const unsigned a = byte(i);
    const std::size_t n = a < 0x80                 ? 1
                          : a >= 0xC2 && a <= 0xDF ? 2
                          : (a & 0xF0u) == 0xE0    ? 3
                          : a >= 0xF0 && a <= 0xF4 ? 4
                                                   : 0;
    if (n == 0) return i;
    unsigned code = n == 1 ? a : a & (0xFFu >> (n + 1));
    for (std::size_t k = 1; k < n; ++k) {
      if ((byte(i + k) & 0xC0u) != 0x80u) return i;
      code = code << 6 | (byte(i + k) & 0x3Fu);
    }
    // Overlong forms and surrogates of three and four octets; two are excluded by the first octet.
    if ((n == 3 && (code < 0x800 || (code >= 0xD800 && code <= 0xDFFF))) ||
        (n == 4 && (code < 0x10000 || code > 0x10FFFF))) {
      return i;
    }
    i += n;
  }
  return i;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20 || u == 0x7f) {
      out += fmt::format("\\u{:04X}", u);
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string_view suggestion(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t least = std::max<std::size_t>(name.size() / 3, 1) + 1;
  if (name.size() > 64) return best;  // no slip of any name of ours, and the distance is quadratic
  for (const auto candidate : candidates) {
    const auto distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace mansio::config
