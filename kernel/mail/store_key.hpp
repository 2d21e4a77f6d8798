// How a message is named in a store ([store.NAME]), where mail of several spools may be.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/id.hpp"

namespace mansio {

// Queue ids are given anew by each spool, also by one that takes the place of another on the same node; so a spool has
// a name, drawn at random when it is first used with a store.
struct StoreKey {
  std::uint64_t spool = 0;  // its name; 0 is none
  MessageId id;
  auto operator<=>(const StoreKey &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.spool, s.id);
  }
};
std::string to_string(const StoreKey &key);                      // "7C9Z2M0A4B1XQ-0000000J00000"
std::optional<StoreKey> parse_store_key(std::string_view text);  // as to_string() writes it, and no other way
std::string spool_name(std::uint64_t spool);                     // "7C9Z2M0A4B1XQ"
std::optional<std::uint64_t> parse_spool_name(std::string_view text);

}  // namespace mansio

template <>
struct std::hash<mansio::StoreKey> {
  std::size_t operator()(const mansio::StoreKey &key) const noexcept {
    return std::hash<mansio::MessageId>{}(key.id) ^ static_cast<std::size_t>(key.spool);
  }
};
