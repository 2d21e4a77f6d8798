#include "plugins/lua/io/server_options.hpp"

#include "plugins/lua/bind.hpp"

namespace mansio::lua {

std::int64_t timeout_field(lua_State *L, int index, std::int64_t otherwise) {
  if (lua_getfield(L, index, "timeout") != LUA_TNIL) otherwise = duration_at(L, -1, "timeout");
  lua_pop(L, 1);
  if (otherwise < 1'000'000) throw ScriptError{"timeout is too short, expected 1ms or more"};
  return otherwise;
}

std::string text_field(lua_State *L, int index, const char *name) {
  std::string text;
  if (lua_getfield(L, index, name) != LUA_TNIL) text = text_at(L, -1, name);
  lua_pop(L, 1);
  return text;
}

ServerOptions server_options(lua_State *L, int index, const Peer &peer) {
  ServerOptions options;
  options.timeout = timeout_field(L, index, options.timeout);
  if (lua_getfield(L, index, "tls") != LUA_TNIL) {
    if (!lua_isboolean(L, -1)) throw ScriptError{"expected true or false for tls, got " + type_name(L, -1)};
    options.tls = lua_toboolean(L, -1) != 0;
  }
  lua_pop(L, 1);
  options.tls_name = text_field(L, index, "tls_name");
  options.ca_file = text_field(L, index, "ca_file");
  if (!options.tls && (!options.tls_name.empty() || !options.ca_file.empty()))
    throw ScriptError{"tls_name and ca_file are for connections with tls = true"};
  if (options.tls_name.empty()) options.tls_name = peer.host;
  if (options.tls && options.tls_name.empty())
    throw ScriptError{"tls over a UNIX socket needs tls_name, the name that the certificate has to have"};
  return options;
}

}  // namespace mansio::lua
