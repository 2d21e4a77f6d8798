// mansio.suffix: where below a domain name strangers register theirs, so whom a name belongs to.
#include "plugins/lua/bind.hpp"
#include "plugins/lua/lib/domain.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

std::optional<PublicSuffix> suffix_at(lua_State *L, int index) {
  const auto name = ascii_domain(domain_at(L, index)).name;
  return name.empty() ? std::nullopt : public_suffix(name);
}

// mansio.suffix.of(name): "co.uk", and whether the list has it; nil for what is no name.
int suffix_of(lua_State *L) {
  const auto found = suffix_at(L, 1);
  if (!found) return lua_pushnil(L), 1;
  push(L, found->suffix);
  lua_pushboolean(L, found->listed ? 1 : 0);
  return 2;
}

// mansio.suffix.registrable(name): "example.co.uk", or nil.
int registrable_of(lua_State *L) {
  const auto found = suffix_at(L, 1);
  if (!found || found->registrable.empty()) return lua_pushnil(L), 1;
  push(L, found->registrable);
  return 1;
}

}  // namespace

void add_suffix(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"of", bound<suffix_of>}, {"registrable", bound<registrable_of>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
