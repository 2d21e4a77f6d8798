// How a binding waits for a coroutine of mansio/loop.hpp: what the script waits for ends with the coroutine, and the
// coroutine ends when nobody waits any more.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "mansio/loop.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {

// Throws ScriptError unless the configuration has `library` in `allow`; `what` is the function that needs it.
void expect_allowed(lua_State *L, std::string_view library, const char *what);

// The call that is about to ask a server; what that costs is charged.
inline Call &may_ask(lua_State *L, const char *what) {
  auto &call = Call::may_wait(L, what);
  call.state().charge(L, 1000);
  call.reaches_out();
  return call;
}

// `perhaps_done`: what was asked, though there is no answer.
inline WaitAnswer unavailable(std::string why, bool perhaps_done = false) {
  WaitAnswer answer{MANSIO_DEFER, std::move(why)};
  if (perhaps_done) answer.status = MANSIO_UNCERTAIN;
  return answer;
}

namespace detail {

inline plugin::Task<> see_to_its_end(Wait *wait, std::shared_ptr<plugin::Cancel> cancel,
                                     plugin::Task<WaitAnswer> work) {
  auto answer = co_await std::move(work);
  static_cast<void>(cancel);  // lives as long as the work
  end_wait(*wait, std::move(answer));
}

}  // namespace detail

// The rest of a binding: waits for make(Cancel &), a Task<WaitAnswer> that owns what it works with. `what` names that
// in the log; the answer may take `octets` outside of Lua.
template <class F>
int wait_for_task(lua_State *L, Call &call, std::string what, std::size_t octets, F make) {
  auto cancel = std::make_shared<plugin::Cancel>();
  auto work = make(*cancel);
  auto *const wait = &call.begin_wait(std::move(what), octets);
  wait->stop = [cancel] { cancel->request(); };
  // What it throws comes before its last word.
  plugin::spawn(detail::see_to_its_end(wait, std::move(cancel), std::move(work)),
                [wait](const char *why) { end_wait(*wait, unavailable(why)); });
  return wait_for_it(L, call);
}

}  // namespace mansio::lua
