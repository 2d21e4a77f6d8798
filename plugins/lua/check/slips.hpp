// Slips in the functions of a script, found when it is loaded: what would be an error whenever that line runs.
//
// Nothing is guessed: where a value is not known for sure, nothing is said of it. Code outside of functions has run by
// then, and is not looked at, but for results that are made there and go nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/lua/check/source.hpp"
#include "plugins/lua/check/world.hpp"

namespace mansio::lua {

struct Slip {
  std::uint32_t line;
  std::string text;  // as the error would be at run time, mostly
};

// In the order of lines.
std::vector<Slip> find_slips(const Source &source, World &world);

}  // namespace mansio::lua
