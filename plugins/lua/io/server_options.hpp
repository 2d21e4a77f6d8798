// What connections have in common, as a table of a script: timeout, tls, tls_name, ca_file.
#pragma once

#include <cstdint>
#include <string>

#include "plugins/lua/io/peer.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

struct ServerOptions {
  std::int64_t timeout = 30'000'000'000;  // ns, of each wait
  bool tls = false;
  std::string tls_name;  // that the certificate has to have; the host's unless given
  std::string ca_file;   // "": the system's
};

// The fields of the table at `index`, which has passed only_fields(); throws ScriptError.
ServerOptions server_options(lua_State *L, int index, const Peer &peer);

// The field `timeout`, for those with options of their own, or what `otherwise` says.
std::int64_t timeout_field(lua_State *L, int index, std::int64_t otherwise);

}  // namespace mansio::lua
