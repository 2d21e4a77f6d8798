// How bindings read the arguments that are declared: text_at<"mansio.lookup", 2>(L) is the second one, and what is said
// of a wrong one is as declared. The compiler refuses an argument that is not declared, or as another type.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/classes.hpp"
#include "plugins/lua/declare/declared.hpp"
#include "plugins/lua/declare/functions.hpp"
#include "plugins/lua/declare/libraries.hpp"
#include "plugins/lua/declare/methods.hpp"

namespace mansio::lua {

template <std::size_t N>
struct FunctionName {
  char text[N];
  consteval FunctionName(const char (&name)[N]) { std::copy(name, name + N, text); }
  constexpr std::string_view view() const { return {text, N - 1}; }
};

// Where Lua's stack has it, and its name.
struct DeclaredArgument {
  int index = 0;
  const char *what = nullptr;  // ends with NUL
  std::string_view type{};
};

template <std::size_t N>
consteval std::optional<std::size_t> index_in(const DeclaredFunction (&functions)[N], std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (functions[i].name == name) return i;
  return {};
}

// Not there: no constant, so the compiler stops. (With no pointers: GCC's sanitizers leave comparing them with null to
// the run time.)
consteval const DeclaredFunction &declared_function(std::string_view name) {
  if (const auto at = index_in(kDeclaredFunctions, name)) return kDeclaredFunctions[*at];
  if (const auto at = index_in(kDeclaredLibraryFunctions, name)) return kDeclaredLibraryFunctions[*at];
  return kDeclaredMethods[index_in(kDeclaredMethods, name).value()];
}

// Numbered from 1, of methods behind the object.
consteval DeclaredArgument declared_argument(std::string_view name, std::size_t number) {
  const auto &parameter = declared_function(name).parameters.at(number - 1);
  if (parameter.what.empty()) throw "the argument has no name for messages";
  bool method = false;
  for (const char c : name) method = method || c == ':';
  return {static_cast<int>(number) + (method ? 1 : 0), parameter.what.data(), parameter.type};
}

template <FunctionName F, std::size_t N = 1>
std::string_view text_at(lua_State *L) {
  constexpr auto argument = declared_argument(F.view(), N);
  static_assert(engine_type(argument.type) == "string");
  return text_at(L, argument.index, argument.what);
}
template <FunctionName F, std::size_t N = 1>
std::int64_t integer_at(lua_State *L, std::int64_t least, std::int64_t most) {
  constexpr auto argument = declared_argument(F.view(), N);
  static_assert(argument.type == "integer");
  return integer_at(L, argument.index, argument.what, least, most);
}
template <FunctionName F, std::size_t N = 1>
std::int64_t duration_at(lua_State *L) {
  constexpr auto argument = declared_argument(F.view(), N);
  static_assert(argument.type == "mansio.Time");
  return duration_at(L, argument.index, argument.what);
}
// A table of options, a list.
template <FunctionName F, std::size_t N = 1>
void expect_table(lua_State *L) {
  constexpr auto argument = declared_argument(F.view(), N);
  static_assert(argument.type == "table" || argument.type.ends_with("[]") || argument.type.ends_with("Options") ||
                argument.type.ends_with("Fields"));
  expect_table(L, argument.index, argument.what);
}
template <FunctionName F, std::size_t N = 1>
void expect_function(lua_State *L) {
  constexpr auto argument = declared_argument(F.view(), N);
  static_assert(argument.type.starts_with("fun("));
  expect_function(L, argument.index, argument.what);
}

}  // namespace mansio::lua
