#include "plugins/lua/io/operation.hpp"

#include "plugins/lua/engine.hpp"
#include "plugins/lua/names.hpp"

namespace mansio::lua {

void expect_allowed(lua_State *L, std::string_view library, const char *what) {
  if (!State::of(L).engine().settings().allows(library)) throw ScriptError{library_is_off(what, library)};
}

}  // namespace mansio::lua
