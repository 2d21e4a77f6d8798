// What a call waits for: a table, the DNS, a time. The host calls back exactly once, and maybe after the call has gone;
// so what it calls back with belongs to the engine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Call;
class Engine;

struct Wait {
  Engine *engine = nullptr;
  Call *call = nullptr;     // null: nobody waits any more
  std::uint64_t timer = 0;  // of a sleep
};

struct WaitAnswer {
  mansio_status status = MANSIO_DEFER;
  std::string text;  // why not, for the log
  std::vector<std::string> values;
  std::vector<plugin::DnsRecord> records;
};

// mansio.lookup, lookup_all, dns and sleep, into the table on top.
void add_waits(lua_State *L);

}  // namespace mansio::lua
