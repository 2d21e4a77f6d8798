// mansio.idna: the forms of a domain name. What is none is an answer, nil and why: names come from strangers.
#include <algorithm>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/domain.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

template <DomainName (*form)(std::string_view)>
int form_of(lua_State *L) {
  const auto made = form(domain_at(L, 1));
  if (!made.name.empty()) return push(L, made.name), 1;
  lua_pushnil(L);
  push(L, made.why);
  return 2;
}

}  // namespace

std::string_view domain_at(lua_State *L, int index) {
  constexpr std::size_t kRefusedAnyway = 4096;
  const auto name = text_at(L, index, declared_argument("mansio.idna.to_ascii", 1).what);
  State::of(L).charge(L, 200 + 20 * std::min(name.size(), kRefusedAnyway));
  return name;
}

// mansio.idna.to_ascii(name), to_unicode(name): the name; or nil, and why.
void add_idna(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"to_ascii", bound<form_of<ascii_domain>>}, {"to_unicode", bound<form_of<unicode_domain>>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
