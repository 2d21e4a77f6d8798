#include "plugins/lua/io/server_options.hpp"

#include "plugins/lua/bind.hpp"

namespace mansio::lua {

std::int64_t timeout_field(lua_State *L, int index, std::int64_t otherwise) {
  if (lua_getfield(L, index, "timeout") != LUA_TNIL) otherwise = duration_at(L, -1, "timeout");
  lua_pop(L, 1);
  if (otherwise < 1'000'000) throw ScriptError{"timeout is too short, expected 1ms or more"};
  return otherwise;
}

ServerOptions server_options(lua_State *L, int index, const Peer &peer) {
  ServerOptions options;
  options.timeout = timeout_field(L, index, options.timeout);
  options.tls = flag_field(L, index, "tls");
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
