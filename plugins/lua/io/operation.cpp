#include "plugins/lua/io/operation.hpp"

#include <algorithm>

#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"

namespace mansio::lua {

void expect_allowed(lua_State *L, std::string_view library, const char *what) {
  const auto &allow = State::of(L).engine().settings().allow;
  if (std::find(allow.begin(), allow.end(), library) == allow.end()) throw ScriptError{library_is_off(what, library)};
}

}  // namespace mansio::lua
