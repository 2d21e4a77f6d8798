// The check of a script that has just been loaded: slips in its functions, which have not run yet.
#pragma once

#include <string>
#include <string_view>

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

// "/etc/mansio/policy.lua:3: there is no global ...", with the lines of others behind it; "" when there is no slip.
// The script is what the state was loaded with; the state stays as it is.
std::string check_functions(lua_State *L, std::string_view path, std::string_view text);

}  // namespace mansio::lua
