// Fields: the options of one table of a scenario, each asked for by name. What nobody asked for is a problem, and so is
// a value that is not what was expected.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/config/problems.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::cli::simulate {

class Fields {
 public:
  Fields(const config::TomlTable &table, std::string prefix, config::Problems &problems);
  ~Fields();
  Fields(const Fields &) = delete;
  Fields &operator=(const Fields &) = delete;

  void text(const char *key, std::string &to);
  void date(const char *key, std::optional<Nanos> &to);
  void duration(const char *key, Nanos &to);
  void rate(const char *key, Nanos &interval);  // "100/m"
  void number(const char *key, double &to, double most);
  void boolean(const char *key, bool &to);
  template <class T>
  void integer(const char *key, T &to, std::int64_t least, std::int64_t most) {
    if (const auto n = whole_number(key, least, most)) to = static_cast<T>(*n);
  }
  // Tables [[KEY]].
  template <class F>
  void tables(const char *key, F f) {
    const auto *list = list_of_tables(key);
    for (std::size_t i = 0; list && i < list->size(); ++i) {
      const auto &one = (*list)[i];
      const auto name = fmt::format("{}{}[{}]", prefix_, key, i + 1);
      if (const auto *table = one.as<config::TomlTable>())
        f(*table, name, one.place);
      else
        problems_.add(one.place, name, "is no table");
    }
  }
  void skip(std::string_view key) { asked_.insert(std::string{key}); }

 private:
  const config::TomlValue *value(const char *key);
  std::optional<std::int64_t> whole_number(const char *key, std::int64_t least, std::int64_t most);
  const config::TomlList *list_of_tables(const char *key);
  void wrong(const config::TomlValue &value, const char *key, const std::string &expected);

  const config::TomlTable &table_;
  std::string prefix_;
  config::Problems &problems_;
  std::set<std::string, std::less<>> asked_;
};

}  // namespace mansio::cli::simulate
