// sdk/lua/mansio.d.lua, as the declarations have it.
#pragma once

#include <string>

namespace mansio::lua {

// The whole file.
std::string stubs();

}  // namespace mansio::lua
