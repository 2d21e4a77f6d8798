// One operation of the host as a script sees it: the handlers of a stage in their order, or a function and its work
// (work.hpp), on a thread of Lua that may wait, and on those that it began beside. It ends in one answer, whatever the
// script does.
#pragma once

#include <algorithm>
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
#include "plugins/lua/delivery.hpp"
#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/rest.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/strand.hpp"
#include "plugins/lua/verdict.hpp"
#include "plugins/lua/wait.hpp"
#include "plugins/lua/work.hpp"

namespace mansio::lua {

// What lasts no longer than the handler that opened it.
class Resource {
 public:
  virtual ~Resource() = default;
  virtual void close() = 0;
};

class Call {
 public:
  Call(Engine &engine, State &state, plugin::Stage stage, plugin::Token token);
  Call(Engine &engine, State &state, std::unique_ptr<Work> work, int function, plugin::Token token);
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  // Runs what is ready of it, until all waits or it ends; true: it has ended, and answered.
  bool resume();
  // This one need not wait any more. The one that runs goes on by itself: what it asked has answered at once.
  void ready(Strand &strand) {
    if (&strand != runs_) ready_.push_back(&strand);
  }
  bool runs() const { return runs_ != nullptr; }
  // It has not ended in time: says where it stands, and answers; false: it goes on with the next handler, and waits.
  bool expire(const std::string &why);
  // Nobody wants its answer.
  void cancel();
  // It has so long from now on, if not less; for one that no deadline of the host's ends.
  void end_within(std::int64_t ns);

  // The one that runs on this thread; throws ScriptError where none does, as while the script is loaded.
  static Call &running(lua_State *L, const char *what);
  // The same, for what is about to wait.
  static Call &may_wait(lua_State *L, const char *what);

  // For bindings.
  Engine &engine() const { return engine_; }
  State &state() const { return state_; }
  std::uint64_t serial() const { return serial_; }
  mansio_op op() const { return op_; }
  // A line of the log, with the queue id: the host adds that of an operation; of a call that is none, and is about a
  // message, the line begins with it.
  void log(int level, std::string_view text) const;
  plugin::Stage *stage() { return stage_ ? &*stage_ : nullptr; }
  template <class W>
  W *asked() const {  // null: it is not of that kind
    return dynamic_cast<W *>(work_.get());
  }
  DeliveryWork *delivery() const { return asked<DeliveryWork>(); }
  void report(std::size_t recipient, const Verdict &result);  // of a delivery; throws ScriptError for the second
  void reaches_out() {                                        // a server is about to be asked
    if (auto *const asked = delivery()) asked->reached_out = true;
  }
  std::string place(lua_State *L) const { return place(L, function_); }  // of the function, for what is wrong with it
  Content &content();
  void progress();  // asks the host for more time
  // What it set; the host still gives the values of the beginning.
  std::map<std::string, std::string, std::less<>> &set_meta(bool of_message) { return meta_[of_message ? 1 : 0]; }

  // The session is recorded, and so is what it is told meanwhile: lines of told.hpp, as far as there is room.
  bool recorded() const { return recorded_; }
  void told(std::string line);

  // What the thread that runs waits for, one thing at a time. `octets` that the answer may take outside of Lua are set
  // aside until release(); throws ScriptError where the call may not hold that much.
  Wait &begin_wait(std::string what, std::size_t octets = 0);
  bool waits() const { return runs_->wait != nullptr; }
  WaitAnswer &answer() { return runs_->answer; }
  const std::string &waits_for() const { return runs_->waits_for; }
  void release();
  // Octets outside of Lua that the call holds, of call_memory. Throws ScriptError where it may not hold that much.
  void set_aside(std::size_t octets);
  void give_back(std::size_t octets) { budget_.outside -= std::min(octets, budget_.outside); }

  // A thread beside, with the function and `arguments` values on top of `L`, which it takes over. Throws ScriptError.
  Strand &spawn(lua_State *L, int arguments);
  Strand *task(std::uint64_t number);  // null: it has been joined
  bool is_current(const Strand &strand) const { return runs_ == &strand; }
  // Of one that has ended: its results onto `L`, or its error; it is gone then.
  int take_results(lua_State *L, Strand &strand);

  // Closed when the handler ends, if not before; `octets` are set aside for it. Throws ScriptError when it is too much.
  void keep(std::weak_ptr<Resource> resource, std::size_t octets);
  void let_go(const Resource &resource);  // it has been closed

  // One step on its thread: the handlers from `done` on, after the result of one when `answered`; otherwise those that
  // have not begun.
  int step(lua_State *L, std::size_t done, bool answered);

 private:
  Call(Engine &engine, State &state, plugin::Token token);
  void fill_budget();
  void begin_handler(const Handler &handler);
  Rest *rest();  // of the handler; null: the host's business
  void went_well();
  bool begin_again();
  plugin::Reply said(const Verdict &verdict) const;
  bool take_verdict(lua_State *L);
  std::string apply(const Verdict &verdict);
  std::string apply_queued(const Verdict &verdict);
  std::int64_t deadline() const;
  std::string place(lua_State *L, int function) const;
  int step_of(Strand &strand);
  void ended(Strand &task, int status, int results);
  std::string error_of(const Strand &strand, std::optional<Verdict> *thrown) const;
  void failed();
  void fail(const std::string &message, bool with_traceback);
  void arm();
  void disarm();
  void complete();
  void drop(bool also_the_first);

  Engine &engine_;
  State &state_;
  Strand first_;
  std::vector<std::unique_ptr<Strand>> tasks_;
  std::uint64_t tasks_begun_ = 0;
  std::vector<Strand *> ready_;  // in the order in which they go on
  Strand *runs_ = nullptr;
  struct Kept {
    std::weak_ptr<Resource> resource;
    std::size_t octets;
  };
  std::vector<Kept> resources_;
  bool begun_ = false, reusable_ = false;
  std::uint64_t serial_;
  plugin::Token token_;
  mansio_op op_;
  std::optional<plugin::Stage> stage_;
  std::unique_ptr<Work> work_;  // null: handlers of a stage
  int function_ = LUA_NOREF;    // its
  std::optional<Content> content_;
  std::map<std::string, std::string, std::less<>> meta_[2];
  Budget budget_;
  const Handler *handler_ = nullptr;
  std::size_t handlers_begun_ = 0;
  bool more_time_ = false;  // the host moved its deadline, and does not say to when
  bool skipped_ = false;    // a handler that failed counts as none, and nothing of this call is applied
  std::int64_t ends_ = 0, handler_ends_ = 0;  // as the host's now(); 0: no limit but the host's
  std::uint64_t timer_ = 0;
  std::optional<plugin::Reply> reply_;
  bool recorded_ = false;
  std::vector<std::string> told_;
  std::size_t told_bytes_ = 0;
};

}  // namespace mansio::lua
