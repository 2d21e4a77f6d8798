// The arguments of a call as far as they are known, and what a function of the engine would say against them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/check/known.hpp"
#include "plugins/lua/check/source.hpp"
#include "plugins/lua/check/world.hpp"

namespace mansio::lua {

// What the constructor at `path` says against arguments `from` and later, whatever those are that are not known: each
// of them is tried as several things, and only what is said against all is a slip. "" when there is none.
std::string constructor_objection(const Source &source, const Knowledge &known, World &world, std::string_view path,
                                  const std::vector<Index> &arguments, std::size_t from);

// "address" or "boolean" where the expression surely is no text, and no number; "" otherwise.
std::string type_that_is_no_text(const Source &source, const Knowledge &known, Index expression);

// "string" or "nil" where the expression is a constant, a function or a table that is written there; "" otherwise.
std::string type_of_literal(const Source &source, Index expression);
// Whether that literal, a number or a text, may be an integer to Lua.
bool may_be_integer(const Source &source, Index expression);

// Whether it may be several values, or none, as the last of a list.
bool is_open(const Expression &expression);

}  // namespace mansio::lua
