#include "plugins/lua/check/check.hpp"

#include <cstddef>
#include <exception>
#include <vector>

#include "plugins/lua/check/live.hpp"
#include "plugins/lua/check/slips.hpp"
#include "plugins/lua/check/source.hpp"

namespace mansio::lua {

std::string check_functions(lua_State *L, std::string_view path, std::string_view text) {
  constexpr std::size_t kMostShown = 10;
  const auto source = parse_source(text);
  if (!source) return {};  // deeper than anybody writes
  std::vector<Slip> slips;
  try {
    LiveWorld world{L};
    slips = find_slips(*source, world);
  } catch (const std::exception &e) {
    return std::string{path} + ": its functions cannot be checked: " + e.what();
  }
  std::string all;
  for (std::size_t i = 0; i < slips.size() && i < kMostShown; ++i)
    all += (i == 0 ? std::string{path} + ':' : ", and at line ") + std::to_string(slips[i].line) + ": " + slips[i].text;
  if (slips.size() > kMostShown) all += ", and " + std::to_string(slips.size() - kMostShown) + " more";
  return all;
}

}  // namespace mansio::lua
