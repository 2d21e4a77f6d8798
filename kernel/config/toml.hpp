// TOML text as a plain tree that remembers where each value was written. The TOML library stays behind this
// file, and so does its habit of recursing as deep as its input asks for.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::config {

struct TomlPlace {
  std::shared_ptr<const std::string> file;
  std::uint32_t line = 0;
};

struct TomlEntry;
struct TomlValue;
using TomlList = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;  // in the order of the text
struct TomlDate {};                        // no option of ours is a date or time

struct TomlValue {
  TomlPlace place;
  std::variant<std::string, std::int64_t, double, bool, TomlList, TomlTable, TomlDate> data;

  template <class T>
  const T *as() const {
    return std::get_if<T>(&data);
  }
  template <class T>
  T *as() {
    return std::get_if<T>(&data);
  }
  std::string_view kind() const;  // "a text", "an integer", "a table", ...
};

struct TomlEntry {
  std::string key;
  TomlPlace place;  // of the key
  TomlValue value;
};

const TomlEntry *find(const TomlTable &table, std::string_view key);

inline constexpr std::size_t kMaxTomlText = 64 * 1024 * 1024;
inline constexpr std::size_t kMaxTomlDepth = 32;  // of dotted keys and of nested values

struct TomlError {
  std::uint32_t line = 0;
  std::string text;
};
std::variant<TomlTable, TomlError> parse_toml(std::string_view text, const std::string &file);

}  // namespace mansio::config
