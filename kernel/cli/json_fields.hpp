// What a command prints of an answer: a field that is missing, or of another type, prints as nothing, 0 or false.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::cli {

inline std::string text_of(const boost::json::object &from, std::string_view key) {
  const auto *v = from.if_contains(key);
  return v && v->is_string() ? std::string{v->get_string()} : std::string{};
}

inline std::int64_t number_of(const boost::json::object &from, std::string_view key) {
  const auto *v = from.if_contains(key);
  if (!v) return 0;
  if (v->is_int64()) return v->get_int64();
  return v->is_uint64() ? static_cast<std::int64_t>(v->get_uint64()) : 0;
}

inline double real_of(const boost::json::object &from, std::string_view key) {
  const auto *v = from.if_contains(key);
  return v && v->is_number() ? v->to_number<double>() : 0;
}

inline bool truth_of(const boost::json::object &from, std::string_view key) {
  const auto *v = from.if_contains(key);
  return v && v->is_bool() && v->get_bool();
}

// Null: there is none.
inline const boost::json::object *object_of(const boost::json::object &from, std::string_view key) {
  const auto *v = from.if_contains(key);
  return v ? v->if_object() : nullptr;
}

}  // namespace mansio::cli
