// An address as handlers see it: a table of its parts that takes no new ones.
#include <algorithm>
#include <cctype>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {

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
