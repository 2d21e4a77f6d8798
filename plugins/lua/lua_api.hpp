// Lua's headers, in one place: the C++ build that the plugin links has the names of the C one.
#pragma once

#include <lua.hpp>
