#include "plugins/lua/io/operation.hpp"

#include <algorithm>

#include "plugins/lua/engine.hpp"

namespace mansio::lua {

void expect_allowed(lua_State *L, std::string_view library, const char *what) {
  const auto &allow = State::of(L).engine().settings().allow;
  if (std::find(allow.begin(), allow.end(), library) == allow.end())
    throw ScriptError{std::string{what} + " is off; allow = [\"" + std::string{library} +
                      "\"] in the configuration opens it"};
}

}  // namespace mansio::lua
