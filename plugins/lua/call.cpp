#include "plugins/lua/call.hpp"

#include <algorithm>
#include <exception>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

int next_step(lua_State *L, int, lua_KContext done) {
  return translated(L, 0, [&] { return Call::running(L, "a handler").step(L, static_cast<std::size_t>(done), true); });
}
int first_step(lua_State *L) {
  return translated(L, 0, [L] { return Call::running(L, "a handler").step(L, 0, false); });
}

}  // namespace

Call::Call(Engine &engine, State &state, plugin::Token token)
    : engine_(engine),
      state_(state),
      thread_(state.take_thread()),
      serial_(engine.next_serial()),
      token_(std::move(token)),
      op_(token_.op()) {
  fill_budget();
  const auto limit = engine.settings().time_limit;
  if (limit != 0) ends_ = engine.host()->now() + limit;
  ++state_.uses;
  ++state_.under_way;
}

Call::Call(Engine &engine, State &state, plugin::Stage stage, plugin::Token token)
    : Call(engine, state, std::move(token)) {
  stage_.emplace(std::move(stage));
}

Call::Call(Engine &engine, State &state, plugin::LookupRequest request, int function, plugin::Token token)
    : Call(engine, state, std::move(token)) {
  request_.emplace(std::move(request));
  lookup_ = function;
}

Call::~Call() {
  drop_wait();
  disarm();
  state_.give_back(thread_, reusable_);
  --state_.under_way;
}

Call &Call::running(lua_State *L, const char *what) {
  auto *call = State::of(L).call();
  if (!call) throw ScriptError{std::string{what} + " works in handlers only, and not while the script is loaded"};
  return *call;
}

Call &Call::may_wait(lua_State *L, const char *what) {
  auto &call = running(L, what);
  if (!lua_isyieldable(L))
    throw ScriptError{std::string{what} + " cannot wait here: not in a function that a library calls, such as that of "
                                          "table.sort or string.gsub, nor in a metamethod"};
  call.state_.charge(L, 100);
  return call;
}

bool Call::resume() {
  if (begun_ && wait_) return false;  // nothing has happened yet
  disarm();
  const auto now = engine_.host()->now();
  if ((ends_ != 0 && now >= ends_) || (handler_ends_ != 0 && now >= handler_ends_))
    return expire("it took more than its time");
  if (!std::exchange(begun_, true)) lua_pushcfunction(thread_.lua, first_step);
  int results = 0;
  state_.enter(*this, budget_, thread_.lua);
  const int status = lua_resume(thread_.lua, nullptr, 0, &results);
  state_.leave();
  if (status == LUA_YIELD && wait_) {
    arm();
    return false;
  }
  if (status == LUA_OK) {
    reusable_ = true;
  } else {
    if (status == LUA_YIELD)
      fail("it yielded to nobody", false);
    else
      failed();
    if (!reply_) return resume();
  }
  complete();
  return true;
}

bool Call::expire(const std::string &why) {
  const auto what = wait_ ? why + ", waiting for " + waits_for_ : why;
  drop_wait();
  fail(what, true);
  if (!reply_) return resume();
  complete();
  return true;
}

void Call::cancel() {
  const auto deadline = stage_ ? stage_->deadline() : request_->deadline;
  if (wait_ && !more_time_ && engine_.host()->now() >= deadline) {
    const auto why = "no answer in time, waiting for " + waits_for_;
    engine_.host()->error(state_.explain(thread_, why), op_);
    reply_ = plugin::Reply{MANSIO_INTERNAL, {}, why};
  } else {
    reply_.emplace(MANSIO_CANCELLED);  // the client went away
  }
  drop_wait();
  complete();
}

void Call::progress() {
  stage_->progress();
  more_time_ = true;
}

Content &Call::content() {
  if (!stage_ || stage_->stage() != MANSIO_STAGE_END_OF_MESSAGE)
    throw ScriptError{"the message can be read at its end only (event \"end-of-message\")"};
  if (!content_) content_.emplace(*stage_);
  return *content_;
}

Wait &Call::begin_wait(std::string what) {
  waits_for_ = std::move(what);
  wait_ = &engine_.add_wait(*this);
  return *wait_;
}

void Call::drop_wait() {
  if (!wait_) return;
  auto &wait = *std::exchange(wait_, nullptr);
  wait.call = nullptr;
  if (wait.timer == 0) return;  // the host will call back, and find nobody
  engine_.host()->cancel_timer(wait.timer);
  engine_.forget(wait);
}

int Call::step(lua_State *L, std::size_t done, bool answered) {
  if (request_) {
    if (!answered) {
      lua_rawgeti(L, LUA_REGISTRYINDEX, lookup_);
      push(L, request_->key);
      push(L, request_->table);
      lua_callk(L, 2, 1, 1, next_step);
    }
    take_values(L);
    return 0;
  }
  if (answered && take_verdict(L)) return 0;
  if (!answered) done = handlers_begun_;
  const auto &all = state_.handlers(stage_->stage());
  if (all.empty()) throw ScriptError{"the script has no handler for this event, and was asked"};
  while (done < all.size()) {
    lua_settop(L, 0);
    begin_handler(all[done++]);
    handlers_begun_ = done;
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler_->function);
    const int n = push_arguments(L, *this);
    lua_callk(L, n, 1, static_cast<lua_KContext>(done), next_step);
    if (take_verdict(L)) return 0;
  }
  return 0;
}

void Call::fill_budget() {
  const auto &settings = engine_.settings();
  budget_ = {};
  budget_.instructions = settings.instructions;
  budget_.memory = settings.call_memory;
  budget_.run_time = settings.run_time;
}

// For the handlers behind one that failed, when there are any: a thread and a budget as if it had not been.
bool Call::begin_again() {
  if (handlers_begun_ >= state_.handlers(stage_->stage()).size()) return false;
  drop_wait();
  disarm();
  const auto fresh = state_.take_thread();
  state_.give_back(std::exchange(thread_, fresh), false);
  fill_budget();
  begun_ = false;
  handler_ = nullptr;
  handler_ends_ = 0;
  return true;
}

void Call::begin_handler(const Handler &handler) {
  handler_ = &handler;
  handler_ends_ = handler.timeout != 0 ? engine_.host()->now() + handler.timeout : 0;
}

// The result on top; false: the next handler is asked.
bool Call::take_verdict(lua_State *L) {
  if (lua_isnil(L, -1)) return false;
  const auto verdict = verdict_at(L, -1);
  if (!verdict)
    throw ScriptError{place(L, handler_->function) + ": the handler returned " + type_name(L, -1) +
                      ", expected a result such as mansio.reject(\"5.7.1\", \"no\"), or nothing"};
  const bool hold = verdict->kind == VerdictKind::Hold;
  if (skipped_ && (hold || verdict->kind == VerdictKind::Discard))
    throw ScriptError{place(L, handler_->function) + ": a handler before this one failed, so that the message cannot be " +
                      (hold ? "held" : "discarded")};
  if ((hold && !stage_->hold(verdict->text)) ||
      (verdict->kind == VerdictKind::Discard && !stage_->discard(verdict->text)))
    throw ScriptError{place(L, handler_->function) + ": there is no message yet to " + (hold ? "hold" : "discard") +
                      "; that works from MAIL on"};
  reply_ = said(*verdict);
  return true;
}

plugin::Reply Call::said(const Verdict &verdict) const {
  const bool refuses = verdict.kind == VerdictKind::Reject || verdict.kind == VerdictKind::Defer;
  return skipped_ && !refuses ? plugin::Reply{MANSIO_SKIP} : reply_of(verdict);
}

// What a lookup returned: nothing, a value, a list of values, or mansio.defer().
void Call::take_values(lua_State *L) {
  const auto wrong = [&](const std::string &got) {
    throw ScriptError{place(L, lookup_) + ": the lookup returned " + got +
                      ", expected a text, a list of texts, nil for \"not found\", or mansio.defer(\"why\")"};
  };
  if (lua_isnil(L, -1)) {
    reply_ = plugin::not_found();
  } else if (lua_isstring(L, -1)) {
    reply_ = plugin::found(std::string{text_at(L, -1, "the value")});
  } else if (const auto verdict = verdict_at(L, -1)) {
    if (verdict->kind != VerdictKind::Defer) wrong("a verdict that is no mansio.defer()");
    reply_ = plugin::defer(verdict->text);
  } else if (lua_istable(L, -1)) {
    std::vector<std::string> values;
    const auto n = lua_rawlen(L, -1);
    for (lua_Unsigned i = 1; i <= n; ++i) {
      if (lua_rawgeti(L, -1, static_cast<lua_Integer>(i)) != LUA_TSTRING && !lua_isnumber(L, -1))
        wrong("a list with " + type_name(L, -1) + " in it");
      values.emplace_back(text_at(L, -1, "a value"));
      lua_pop(L, 1);
    }
    reply_ = plugin::found_all(std::move(values));
  } else {
    wrong(type_name(L, -1));
  }
}

std::string Call::place(lua_State *L, int function) const {
  lua_Debug about{};
  lua_rawgeti(L, LUA_REGISTRYINDEX, function);
  lua_getinfo(L, ">S", &about);
  return std::string{about.short_src} + ':' + std::to_string(about.linedefined);
}

// The thread ended in an error, which is on top of it: a verdict that was thrown, or a fault of the script.
void Call::failed() {
  std::optional<Verdict> thrown;
  std::string message;
  const auto why = protect(state_.main(), [&](lua_State *L) {
    lua_xmove(thread_.lua, L, 1);
    thrown = verdict_at(L, -1);
    // Not by __tostring: nothing of the script may run here, where no budget ends it.
    message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is a " + type_name(L, -1);
  });
  if (!why.empty()) message = why;
  // Nobody knows what holding or forgetting it was to be bound to.
  const bool verdict = thrown && thrown->kind != VerdictKind::Hold && thrown->kind != VerdictKind::Discard;
  if (verdict && request_ && thrown->kind == VerdictKind::Defer)
    reply_ = plugin::defer(thrown->text);
  else if (verdict && !request_)
    reply_ = said(*thrown);
  else
    fail(budget_.over.empty() ? message : "the call was ended: " + message, true);
}

// Without a reply after it, the call goes on with the handlers behind the one that failed.
void Call::fail(const std::string &message, bool with_traceback) {
  engine_.host()->error(with_traceback ? state_.explain(thread_, message) : message, op_);
  const auto on_error = handler_ ? handler_->on_error : OnError::Fail;
  if (on_error == OnError::Defer) {
    reply_ = plugin::defer({4, 3, 0}, "a local policy failed");
  } else if (on_error == OnError::Fail) {
    reply_ = plugin::Reply{MANSIO_INTERNAL, {}, message};
  } else {
    skipped_ = true;
    try {
      if (!begin_again()) reply_.emplace(MANSIO_SKIP);
    } catch (const ScriptError &e) {
      reply_ = plugin::Reply{MANSIO_INTERNAL, {}, e.what()};
    }
  }
}

void Call::complete() {
  token_.complete(reply_ ? *reply_ : plugin::Reply{skipped_ ? MANSIO_SKIP : MANSIO_OK});
}

// Only for limits of the script's own; the host keeps its deadline itself.
void Call::arm() {
  const auto ends = ends_ == 0 ? handler_ends_ : handler_ends_ == 0 ? ends_ : std::min(ends_, handler_ends_);
  if (ends == 0) return;
  timer_ = engine_.host()->timer(
      std::max<std::int64_t>(ends - engine_.host()->now(), 1),
      [](void *arg) {
        auto &call = *static_cast<Call *>(arg);
        call.timer_ = 0;
        call.engine_.expire(call);
      },
      this);
}

void Call::disarm() {
  if (timer_ != 0) engine_.host()->cancel_timer(std::exchange(timer_, 0));
}

}  // namespace mansio::lua
