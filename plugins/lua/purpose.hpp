// Whether a script has what its instance is asked for: mansio.provide("lookup", "users", ...) as [lookup.users],
// handlers as [filter.NAME]. A script that is for something else would be noticed only by the mail that it defers.
#pragma once

#include <string>
#include <string_view>

namespace mansio::lua {

class State;

// What is missing, for people, with the place of what is probably meant; "" when nothing is. `kind`: as the table of
// the configuration is called, "lookup"; of one that scripts are not asked as, such as "", nothing is missing.
std::string missing_of(const State &state, std::string_view kind, std::string_view instance);

}  // namespace mansio::lua
