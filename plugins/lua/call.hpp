// One operation of the host as a script sees it: the handlers of a stage in their order, or one key of a lookup, on a
// thread of Lua that may wait. It ends in one answer, whatever the script does.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/filter.hpp"
#include "plugins/lua/budget.hpp"
#include "plugins/lua/content.hpp"
#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/verdict.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {

class Call {
 public:
  Call(Engine &engine, State &state, plugin::Stage stage, plugin::Token token);
  Call(Engine &engine, State &state, plugin::LookupRequest request, int function, plugin::Token token);
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  // Runs until it waits or ends; true: it has ended, and answered.
  bool resume();
  // It has not ended in time: says where it stands, and answers; false: it goes on with the next handler, and waits.
  bool expire(const std::string &why);
  // Nobody wants its answer.
  void cancel();

  // The one that runs on this thread; throws ScriptError where none does, as while the script is loaded.
  static Call &running(lua_State *L, const char *what);
  // The same, for what is about to wait.
  static Call &may_wait(lua_State *L, const char *what);

  // For bindings.
  Engine &engine() const { return engine_; }
  State &state() const { return state_; }
  std::uint64_t serial() const { return serial_; }
  mansio_op op() const { return op_; }
  plugin::Stage *stage() { return stage_ ? &*stage_ : nullptr; }
  Content &content();
  void progress();  // asks the host for more time
  // What it set; the host still gives the values of the beginning.
  std::map<std::string, std::string, std::less<>> &set_meta(bool of_message) { return meta_[of_message ? 1 : 0]; }

  // What it waits for, one thing at a time.
  Wait &begin_wait(std::string what);
  WaitAnswer &answer() { return answer_; }
  const std::string &waits_for() const { return waits_for_; }
  void wait_is_over() { wait_ = nullptr; }

  // One step on its thread: the handlers from `done` on, after the result of one when `answered`; otherwise those that
  // have not begun.
  int step(lua_State *L, std::size_t done, bool answered);

 private:
  Call(Engine &engine, State &state, plugin::Token token);
  void fill_budget();
  void begin_handler(const Handler &handler);
  bool begin_again();
  plugin::Reply said(const Verdict &verdict) const;
  bool take_verdict(lua_State *L);
  void take_values(lua_State *L);
  std::string place(lua_State *L, int function) const;
  void failed();
  void fail(const std::string &message, bool with_traceback);
  void arm();
  void disarm();
  void complete();
  void drop_wait();

  Engine &engine_;
  State &state_;
  State::Thread thread_;
  bool begun_ = false, reusable_ = false;
  std::uint64_t serial_;
  plugin::Token token_;
  mansio_op op_;
  std::optional<plugin::Stage> stage_;
  std::optional<plugin::LookupRequest> request_;
  int lookup_ = LUA_NOREF;
  std::optional<Content> content_;
  std::map<std::string, std::string, std::less<>> meta_[2];
  Budget budget_;
  const Handler *handler_ = nullptr;
  std::size_t handlers_begun_ = 0;
  bool more_time_ = false;  // the host moved its deadline, and does not say to when
  bool skipped_ = false;  // a handler that failed counts as none, and nothing of this call is applied
  std::int64_t ends_ = 0, handler_ends_ = 0;  // as the host's now(); 0: no limit but the host's
  std::uint64_t timer_ = 0;
  std::optional<plugin::Reply> reply_;
  Wait *wait_ = nullptr;
  WaitAnswer answer_;
  std::string waits_for_;
};

}  // namespace mansio::lua
