// What a call waits for: a table, the DNS, a time, a server, a task. The one that was asked calls back exactly once,
// and maybe after the call has gone; so what it calls back with belongs to the engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mansio/host.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua {

class Call;
class Engine;
struct Strand;

struct Wait {
  Engine *engine = nullptr;
  Call *call = nullptr;      // null: nobody waits any more
  Strand *strand = nullptr;  // of that call
  // Called when nobody waits any more: either end_wait() is called once more, then or later, or this forgets the wait
  // (Engine::forget()). Without it end_wait() comes in its time.
  std::function<void()> stop{};
  // What was asked, for a recording of its answer (told.hpp); "": it is not recorded.
  std::string question{};
};

struct WaitAnswer {
  mansio_status status = MANSIO_DEFER;  // UNCERTAIN: no answer, though what was asked may have been done
  std::string text{};                   // why not, for the log
  std::vector<std::string> values{};
  std::vector<plugin::DnsRecord> records{};
  std::function<int(lua_State *)> give{};  // pushes what was waited for, and returns how many values that are
};

// The last word on a wait, which is gone then. The call goes on: at once, or when what runs now has come to a wait.
void end_wait(Wait &wait, WaitAnswer answer) noexcept;

// The end of a binding that has begun a wait whose answer has `give`: leaves the thread of Lua, or goes on when what
// was asked has answered already.
int wait_for_it(lua_State *L, Call &call);

// What cannot answer now, as an error of Lua: the call's answer, unless the script catches it. `what` may reach the
// client, `why` goes into the log. `perhaps_done`: a delivery that ends so is uncertain.
[[noreturn]] void cannot_answer(lua_State *L, Call &call, const std::string &what, const std::string &why,
                                bool perhaps_done = false);

// mansio.lookup, lookup_all, dns and sleep, into the table on top.
void add_waits(lua_State *L);

}  // namespace mansio::lua
