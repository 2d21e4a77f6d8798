// What tells two texts apart, line by line, for people.
#pragma once

#include <string>
#include <string_view>

namespace mansio::lua::tool {

// "- " before lines of `expected` alone, "+ " before those of `got` alone, "  " before common ones, of which long runs
// are left out. Control characters are shown as escapes. "" for equal texts.
std::string difference(std::string_view expected, std::string_view got);

}  // namespace mansio::lua::tool
