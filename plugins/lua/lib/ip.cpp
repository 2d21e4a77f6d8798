// mansio.ip: addresses, and sets of networks.
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/lib/network.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kIpSetType = "ip set";

template <FunctionName F>
IpAddress address_at(lua_State *L) {
  const auto text = text_at<F>(L);
  const auto address = IpAddress::parse(text);
  if (!address) throw ScriptError{"\"" + std::string{text} + "\" is no IP address"};
  return *address;
}

// mansio.ip.set{"192.0.2.0/24", ...}
int set(lua_State *L) {
  expect_table<"mansio.ip.set">(L);
  auto &made = new_object<NetworkSet>(L, kIpSetType);
  const auto n = lua_rawlen(L, 1);
  for (lua_Unsigned i = 1; i <= n; ++i) {
    State::of(L).charge(L, 50);
    lua_rawgeti(L, 1, static_cast<lua_Integer>(i));
    const auto text = text_at(L, -1, "a network");
    if (!made.add(text)) throw ScriptError{"\"" + std::string{text} + "\" is no network, expected ADDRESS[/BITS]"};
    lua_pop(L, 1);
  }
  return 1;
}

int contains(lua_State *L) {
  const auto &networks = object_at<NetworkSet>(L, 1, kIpSetType);
  State::of(L).charge(L, 10 + networks.size() / 2);  // one after the other
  lua_pushboolean(L, networks.contains(address_at<"ip set:contains">(L)));
  return 1;
}

// mansio.ip.parse(text): the address in its one form, or nil.
int parse(lua_State *L) {
  const auto address = IpAddress::parse(text_at<"mansio.ip.parse">(L));
  if (address)
    push(L, address->text());
  else
    lua_pushnil(L);
  return 1;
}

int version(lua_State *L) {
  lua_pushinteger(L, address_at<"mansio.ip.version">(L).six ? 6 : 4);
  return 1;
}

int reverse(lua_State *L) {
  push(L, address_at<"mansio.ip.reverse">(L).reversed());
  return 1;
}

}  // namespace

void add_ip(lua_State *L) {
  static constexpr luaL_Reg kMethods[] = {{"contains", bound<contains>}, {nullptr, nullptr}};
  make_type(L, kIpSetType, kMethods, destroy_object<NetworkSet>);
  static constexpr luaL_Reg kFunctions[] = {{"set", bound<set>},
                                            {"parse", bound<parse>},
                                            {"version", bound<version>},
                                            {"reverse", bound<reverse>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
