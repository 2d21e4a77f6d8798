// The texts of durations, sizes and TOML strings, both ways, and the "did you mean" of unknown names.
// What the print functions write, the parse functions read back to the same value.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"

namespace mansio::config {

// A whole number and ns, us, ms, s, m, h, d or w; without a unit: seconds.
std::optional<Nanos> parse_duration(std::string_view text);
std::string print_duration(Nanos duration);  // in the largest unit that divides it

// A whole number and K, M, G or T (or KiB, MiB, GiB, TiB), powers of 1024; without a unit: bytes.
std::optional<std::uint64_t> parse_size(std::string_view text);
std::string print_size(std::uint64_t size);

std::optional<std::int64_t> parse_integer(std::string_view text);

std::size_t utf8_prefix(std::string_view text);  // octets before the first that is not UTF-8
inline bool is_utf8(std::string_view text) { return utf8_prefix(text) == text.size(); }
std::string toml_string(std::string_view text);  // quoted; `text` is UTF-8

// The candidate that `name` is most likely a slip of; empty if none is near.
std::string_view suggestion(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace mansio::config
