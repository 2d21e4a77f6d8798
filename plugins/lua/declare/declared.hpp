// How what scripts find is declared: fields of objects and of tables of options, functions, and what they take and
// return. The tables of this folder are the one place where that is written down; events and their handlers are in
// ../declarations.hpp. From both come what the bindings say of a wrong argument (argument.hpp), what the check of a
// script's functions knows (../shapes.hpp), and sdk/lua/mansio.d.lua (stubs.cpp).
//
// Types are written as LuaLS has them: "string?" may be nil, "mansio.address" is a class of classes.hpp. Texts are for
// sdk/lua/mansio.d.lua: a phrase, or sentences, with \n between lines of a function's.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace mansio::lua {

// A name that ends in '?' need not be given. `macro` is the host's name of a field that is a fact of the host.
struct DeclaredField {
  std::string_view name, type, text{}, macro{};
};

// "..." stands for any more. `what` names the argument in messages, as "expected text for the key"; "" where the
// function has a message of its own.
struct DeclaredParameter {
  std::string_view name, type, text{}, what{};
};

struct DeclaredResult {
  std::string_view type, text{};
};

// Of `mansio` ("mansio.lookup"), or a method: "message:header", by the name of the object's metatable.
struct DeclaredFunction {
  std::string_view name;
  std::string_view text{};
  std::array<DeclaredParameter, 4> parameters{};
  std::array<DeclaredResult, 2> results{};
  std::string_view generic{};  // "F: function"
};

constexpr bool is_optional(std::string_view name) { return name.ends_with('?'); }
constexpr std::string_view plain_name(std::string_view name) {
  if (is_optional(name)) name.remove_suffix(1);
  return name;
}

// The names alone, and those of the methods behind them.
template <std::size_t Methods = 0, std::size_t N>
constexpr auto names_of(const DeclaredField (&fields)[N]) {
  std::array<std::string_view, N + Methods> names{};
  for (std::size_t i = 0; i < N; ++i) names[i] = plain_name(fields[i].name);
  return names;
}
// "message:header" is one of "message:".
template <std::size_t N>
constexpr std::size_t count_methods(std::string_view object, const DeclaredFunction (&functions)[N]) {
  std::size_t n = 0;
  for (const auto &function : functions) n += function.name.starts_with(object) ? 1 : 0;
  return n;
}
template <std::size_t Methods, std::size_t N, std::size_t M>
constexpr auto names_of(const DeclaredField (&fields)[N], std::string_view object,
                        const DeclaredFunction (&functions)[M]) {
  auto names = names_of<Methods>(fields);
  std::size_t next = N;
  for (const auto &function : functions)
    if (function.name.starts_with(object)) names[next++] = function.name.substr(object.size());
  return names;
}

}  // namespace mansio::lua
