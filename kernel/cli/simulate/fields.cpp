#include "kernel/cli/simulate/fields.hpp"

#include <utility>

#include "kernel/config/rate.hpp"
#include "kernel/config/values.hpp"

namespace mansio::cli::simulate {

Fields::Fields(const config::TomlTable &table, std::string prefix, config::Problems &problems)
    : table_(table), prefix_(std::move(prefix)), problems_(problems) {}

Fields::~Fields() {
  for (const auto &entry : table_)
    if (!asked_.contains(entry.key)) problems_.add(entry.place, prefix_ + entry.key, "is not an option here");
}

void Fields::text(const char *key, std::string &to) {
  const auto *v = value(key);
  if (!v) return;
  if (const auto *s = v->as<std::string>())
    to = *s;
  else
    wrong(*v, key, "a text");
}

void Fields::date(const char *key, std::optional<Nanos> &to) {
  const auto *v = value(key);
  if (!v) return;
  const auto *s = v->as<std::string>();
  to = s ? config::parse_date(*s) : std::nullopt;
  if (!to) wrong(*v, key, "a date such as \"2026-11-30\"");
}

void Fields::duration(const char *key, Nanos &to) {
  const auto *v = value(key);
  if (!v) return;
  if (const auto *n = v->as<std::int64_t>(); n && *n >= 0 && *n < 1'000'000'000) {
    to = *n * kSecond;
  } else if (const auto *s = v->as<std::string>()) {
    const auto d = config::parse_duration(*s);
    if (!d || *d < 0) return wrong(*v, key, "a duration such as \"90s\"");
    to = *d;
  } else {
    wrong(*v, key, "a duration such as \"90s\"");
  }
}

void Fields::rate(const char *key, Nanos &interval) {
  const auto *v = value(key);
  if (!v) return;
  const auto *s = v->as<std::string>();
  const auto rate = s ? config::parse_rate(*s) : std::nullopt;
  if (!rate) return wrong(*v, key, "a rate such as \"100/m\"");
  interval = *rate;
}

void Fields::number(const char *key, double &to, double most) {
  const auto *v = value(key);
  if (!v) return;
  const auto *n = v->as<std::int64_t>();
  const auto *d = v->as<double>();
  const auto x = n ? static_cast<double>(*n) : d ? *d : -1;
  if (!(x >= 0 && x <= most)) return wrong(*v, key, fmt::format("a number from 0 to {}", most));
  to = x;
}

void Fields::boolean(const char *key, bool &to) {
  const auto *v = value(key);
  if (!v) return;
  if (const auto *b = v->as<bool>())
    to = *b;
  else
    wrong(*v, key, "true or false");
}

std::optional<std::int64_t> Fields::whole_number(const char *key, std::int64_t least, std::int64_t most) {
  const auto *v = value(key);
  if (!v) return std::nullopt;
  const auto *n = v->as<std::int64_t>();
  if (n && *n >= least && *n <= most) return *n;
  wrong(*v, key, fmt::format("an integer from {} to {}", least, most));
  return std::nullopt;
}

const config::TomlList *Fields::list_of_tables(const char *key) {
  const auto *v = value(key);
  if (!v) return nullptr;
  const auto *list = v->as<config::TomlList>();
  if (!list) wrong(*v, key, fmt::format("tables [[{}{}]]", prefix_, key));
  return list;
}

const config::TomlValue *Fields::value(const char *key) {
  asked_.insert(key);
  const auto *entry = find(table_, key);
  return entry ? &entry->value : nullptr;
}

void Fields::wrong(const config::TomlValue &v, const char *key, const std::string &expected) {
  problems_.add(v.place, prefix_ + key, fmt::format("is {}, expected {}", v.kind(), expected));
}

}  // namespace mansio::cli::simulate
