// An address as handlers see it: a table of its parts that takes no new ones.
#include <algorithm>
#include <cctype>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr const char *kAddressType = "address";

int address_text(lua_State *L) {
  lua_pushliteral(L, "address");
  lua_rawget(L, 1);
  return 1;
}

}  // namespace

void make_address_type(lua_State *L) {
  luaL_newmetatable(L, kAddressType);
  push_no_such_field(L, kAddressType);
  lua_setfield(L, -2, "__index");
  push_no_new_field(L, kAddressType);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, address_text);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}

void push_address(lua_State *L, std::string_view text, const std::vector<std::string_view> &parameters) {
  const auto at = text.rfind('@');
  std::string domain{at == text.npos ? std::string_view{} : text.substr(at + 1)};
  for (auto &c : domain) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  lua_createtable(L, 0, static_cast<int>(kAddressFields.size()));
  push(L, text);
  lua_setfield(L, -2, "address");
  push(L, text.substr(0, std::min(at, text.size())));
  lua_setfield(L, -2, "localpart");
  push(L, domain);
  lua_setfield(L, -2, "domain");
  push_texts(L, parameters);
  lua_setfield(L, -2, "parameters");
  luaL_setmetatable(L, kAddressType);
}

}  // namespace mansio::lua
