#include "plugins/lua/call.hpp"

#include <algorithm>
#include <exception>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/objects.hpp"
#include "plugins/lua/queued.hpp"

namespace mansio::lua {
namespace {

int next_step(lua_State *L, int, lua_KContext done) {
  return translated(L, 0, [&] { return Call::running(L, "a handler").step(L, static_cast<std::size_t>(done), true); });
}
int first_step(lua_State *L) {
  return translated(L, 0, [L] { return Call::running(L, "a handler").step(L, 0, false); });
}

plugin::Reply local_failure() { return plugin::defer({4, 3, 0}, "a local policy failed"); }

}  // namespace

Call::Call(Engine &engine, State &state, plugin::Token token)
    : engine_(engine),
      state_(state),
      first_{state.take_thread()},
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
  recorded_ = !stage_->macro("recorded").empty();
}

Call::Call(Engine &engine, State &state, std::unique_ptr<Work> work, int function, plugin::Token token)
    : Call(engine, state, std::move(token)) {
  work_ = std::move(work);
  function_ = function;
}

Call::~Call() {
  drop(true);
  disarm();
  state_.give_back(first_.thread, reusable_);
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
    throw ScriptError{std::string{what} +
                      " cannot wait here: not in a function that a library calls, such as that of "
                      "table.sort or string.gsub, nor in a metamethod"};
  call.state_.charge(L, 100);
  return call;
}

bool Call::resume() {
  if (begun_ && ready_.empty()) return false;  // nothing has happened yet
  disarm();
  const auto now = engine_.host()->now();
  if ((ends_ != 0 && now >= ends_) || (handler_ends_ != 0 && now >= handler_ends_))
    return expire("it took more than its time");
  if (!std::exchange(begun_, true)) {
    lua_pushcfunction(first_.thread.lua, first_step);
    ready_.push_back(&first_);
  }
  budget_.begin_slice();  // for all that runs now: the loop stands still meanwhile
  while (!ready_.empty()) {
    auto &strand = *ready_.front();
    ready_.erase(ready_.begin());
    const bool is_first = &strand == &first_;
    const int status = step_of(strand);
    if (status == LUA_YIELD && strand.wait) continue;
    if (is_first && status == LUA_OK) {
      reusable_ = true;
    } else if (status == LUA_YIELD) {
      fail("it yielded to nobody", false);
    } else if (is_first) {
      failed();
    } else if (budget_.over.empty()) {
      ended(strand, status, strand.results);
      continue;
    } else {
      fail("the call was ended: " + budget_.over, true);
    }
    if (is_first && status == LUA_OK) return complete(), true;
    if (!reply_) return resume();
    return complete(), true;
  }
  arm();
  return false;
}

// Runs it until it waits or ends.
int Call::step_of(Strand &strand) {
  auto *const lua = strand.thread.lua;
  runs_ = &strand;
  state_.enter(*this, budget_, lua);
  const int status = lua_resume(lua, nullptr, std::exchange(strand.arguments, 0), &strand.results);
  state_.leave();
  runs_ = nullptr;
  return status;
}

bool Call::expire(const std::string &why) {
  const auto what = first_.wait ? why + ", waiting for " + first_.waits_for : why;
  drop(true);
  fail(what, true);
  if (work_)
    if (const auto reply = work_->interrupted()) reply_ = *reply;
  if (!reply_) return resume();
  complete();
  return true;
}

void Call::cancel() {
  const auto interrupted = work_ ? work_->interrupted() : std::nullopt;
  if (first_.wait && !more_time_ && engine_.host()->now() >= deadline()) {
    const auto why = "no answer in time, waiting for " + first_.waits_for;
    log(MANSIO_LOG_ERROR, state_.explain(first_.thread, why));
    reply_ = interrupted ? *interrupted : plugin::Reply{MANSIO_INTERNAL, {}, why};
  } else if (interrupted) {
    reply_ = *interrupted;
  } else {
    reply_.emplace(MANSIO_CANCELLED);  // the client went away
  }
  drop(true);
  complete();
}

void Call::end_within(std::int64_t ns) {
  const auto at = engine_.host()->now() + ns;
  ends_ = ends_ == 0 ? at : std::min(ends_, at);
}

std::int64_t Call::deadline() const { return stage_ ? stage_->deadline() : work_->deadline(); }

void Call::progress() {
  if (!stage_) throw ScriptError{"progress is for filters; delivery_time_limit is the time of a transport"};
  stage_->progress();
  more_time_ = true;
}

Content &Call::content() {
  const auto *const delivers = delivery();
  if (!delivers && (!stage_ || stage_->stage() != MANSIO_STAGE_END_OF_MESSAGE))
    throw ScriptError{"the message can be read at its end only (event \"end-of-message\")"};
  if (!content_) content_.emplace(*this, delivers ? delivers->mail.length : stage_->length());
  return *content_;
}

void Call::report(std::size_t recipient, const Verdict &result) {
  auto &delivers = *delivery();
  if (delivers.reported.at(recipient))
    throw ScriptError{delivers.mail.recipients[recipient].address + " has its result already"};
  token_.rcpt(recipient, reply_of(result));
  delivers.reported[recipient] = true;
}

Wait &Call::begin_wait(std::string what, std::size_t octets) {
  set_aside(octets);
  runs_->reserved = octets;
  runs_->waits_for = std::move(what);
  runs_->answer = {};
  runs_->wait = &engine_.add_wait(*this, *runs_);
  return *runs_->wait;
}

void Call::release() { give_back(std::exchange(runs_->reserved, 0)); }

void Call::set_aside(std::size_t octets) {
  if (octets != 0 && !state_.set_aside(octets))
    throw ScriptError{"not enough memory for " + std::to_string(octets) + " octets outside of Lua (call_memory)"};
}

void Call::keep(std::weak_ptr<Resource> resource, std::size_t octets) {
  constexpr std::size_t kMostResources = 32;
  std::erase_if(resources_, [this](const Kept &kept) {  // what Lua's collector has closed
    if (!kept.resource.expired()) return false;
    give_back(kept.octets);
    return true;
  });
  if (resources_.size() >= kMostResources) throw ScriptError{"more than 32 connections are open at once"};
  set_aside(octets);
  resources_.push_back({std::move(resource), octets});
}

void Call::let_go(const Resource &resource) {
  std::erase_if(resources_, [&](const Kept &kept) {
    if (kept.resource.lock().get() != &resource) return false;
    give_back(kept.octets);
    return true;
  });
}

// Ends what runs beside, with all that it waits for, and closes what was opened. All waits are nobody's before the
// first of them is stopped, for one that is may end another.
void Call::drop(bool also_the_first) {
  std::vector<Wait *> waits;
  const auto leave = [&](Strand &strand) {
    if (!strand.wait) return;
    strand.wait->call = nullptr;
    waits.push_back(std::exchange(strand.wait, nullptr));
  };
  for (const auto &task : tasks_) leave(*task);
  if (also_the_first) leave(first_);
  for (auto *wait : waits) {
    const auto stop = std::move(wait->stop);
    if (stop) stop();
  }
  const auto opened = std::exchange(resources_, {});
  for (const auto &one : opened) {
    if (const auto resource = one.resource.lock()) resource->close();
    give_back(one.octets);
  }
  if (also_the_first) ready_.clear();
  std::erase_if(ready_, [this](const Strand *strand) { return strand != &first_; });
  for (const auto &task : tasks_) {
    if (task->failed)
      log(MANSIO_LOG_WARN,
          "a task failed, and nobody joined it: " + state_.explain(task->thread, error_of(*task, nullptr)));
    state_.give_back(task->thread, false);
    give_back(task->reserved);
  }
  tasks_.clear();
}

Strand &Call::spawn(lua_State *L, int arguments) {
  constexpr std::size_t kMostTasks = 100;
  if (tasks_.size() >= kMostTasks) throw ScriptError{"more than 100 tasks at once, those that nobody joined included"};
  auto made = std::make_unique<Strand>();
  tasks_.reserve(tasks_.size() + 1);
  made->thread = state_.take_thread();
  auto &strand = *made;
  tasks_.push_back(std::move(made));
  strand.number = ++tasks_begun_;
  if (!lua_checkstack(strand.thread.lua, arguments + 1)) throw ScriptError{"too many arguments for a task"};
  lua_xmove(L, strand.thread.lua, arguments + 1);
  strand.arguments = arguments;
  ready_.push_back(&strand);
  return strand;
}

Strand *Call::task(std::uint64_t number) {
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const auto &t) { return t->number == number; });
  return found == tasks_.end() ? nullptr : found->get();
}

void Call::ended(Strand &task, int status, int results) {
  task.ended = true;
  task.failed = status != LUA_OK;
  task.results = task.failed ? 1 : results;
  if (!task.joiner) return;
  auto &wait = *std::exchange(task.joiner, nullptr);
  WaitAnswer answer{MANSIO_OK};
  answer.give = [this, &task](lua_State *L) { return take_results(L, task); };
  end_wait(wait, std::move(answer));
}

int Call::take_results(lua_State *L, Strand &task) {
  const int n = task.results;
  luaL_checkstack(L, n + 1, "too many results of a task");
  lua_xmove(task.thread.lua, L, n);
  const bool failed = task.failed;
  state_.give_back(task.thread, !failed);
  std::erase_if(tasks_, [&](const auto &one) { return one.get() == &task; });
  return failed ? lua_error(L) : n;
}

int Call::step(lua_State *L, std::size_t done, bool answered) {
  if (work_) {
    if (!answered) {
      lua_rawgeti(L, LUA_REGISTRYINDEX, function_);
      const int n = work_->push(L, *this);
      lua_callk(L, n, work_->results(), 1, next_step);
    }
    reply_ = work_->result(L, *this);
    return 0;
  }
  if (answered) {
    drop(false);
    const bool decided = take_verdict(L);
    went_well();
    if (decided) return 0;
  } else {
    done = handlers_begun_;
  }
  const auto &all = state_.handlers(stage_->stage());
  if (all.empty()) throw ScriptError{"the script has no handler for this event, and was asked"};
  while (done < all.size()) {
    lua_settop(L, 0);
    begin_handler(all[done++]);
    handlers_begun_ = done;
    if (auto *const resting = rest(); resting && !resting->may_be_called(engine_.monotonic())) {
      if (handler_->on_error == OnError::Accept) continue;  // as if it were not there, and this time it is not
      reply_ = local_failure();
      return 0;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, handler_->function);
    const int n = push_arguments(L, *this);
    lua_callk(L, n, 1, static_cast<lua_KContext>(done), next_step);
    drop(false);
    const bool decided = take_verdict(L);
    went_well();
    if (decided) return 0;
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
  drop(true);
  disarm();
  const auto fresh = state_.take_thread();
  state_.give_back(std::exchange(first_.thread, fresh), false);
  first_.reserved = 0;
  content_.reset();
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

Rest *Call::rest() {
  if (!handler_ || handler_->on_error == OnError::Fail) return nullptr;
  return &engine_.rest(stage_->stage(), handlers_begun_ - 1);
}

void Call::went_well() {
  if (auto *const rested = rest(); rested && rested->went_well())
    log(MANSIO_LOG_INFO, place(state_.main(), handler_->function) + ": the handler works again");
}

// The result on top; false: the next handler is asked.
bool Call::take_verdict(lua_State *L) {
  if (lua_isnil(L, -1)) return false;
  const auto verdict = verdict_at(L, -1);
  if (!verdict)
    throw ScriptError{place(L, handler_->function) + ": the handler returned " + type_name(L, -1) +
                      ", expected a result such as mansio.reject(\"5.7.1\", \"no\"), or nothing"};
  const bool queued = is_of_queue(stage_->stage());
  if (queued && !verdict->of_queue(stage_->stage()))
    throw ScriptError{place(L, handler_->function) + ": the handler returned a result that it cannot have, expected " +
                      std::string{results_at(stage_->stage())->expected}};
  if (!queued && !verdict->of_handlers())
    throw ScriptError{place(L, handler_->function) + ": the handler returned a result of " +
                      std::string{whose(*verdict)}};
  const auto why = queued ? apply_queued(*verdict) : apply(*verdict);
  if (!why.empty()) throw ScriptError{place(L, handler_->function) + ": " + why};
  reply_ = said(*verdict);
  return true;
}

// What a result asks of the host beside its reply; "" when that is in order.
std::string Call::apply(const Verdict &verdict) {
  if (!verdict.disposes()) return {};
  const bool hold = verdict.kind == VerdictKind::Hold, redirect = verdict.kind == VerdictKind::Redirect;
  if (skipped_)
    return std::string{"a handler before this one failed, so that the message cannot be "} + (hold       ? "held"
                                                                                              : redirect ? "redirected"
                                                                                                         : "discarded");
  const bool done = hold       ? stage_->hold(verdict.text)
                    : redirect ? stage_->redirect(verdict.text)
                               : stage_->discard(verdict.text);
  if (done) return {};
  const auto stage = stage_->stage();
  if (redirect && stage >= MANSIO_STAGE_MAIL && stage <= MANSIO_STAGE_END_OF_MESSAGE)
    return "the message cannot be redirected to \"" + verdict.text + "\", which is no address";
  return std::string{"there is no message yet to "} +
         (hold       ? "hold"
          : redirect ? "redirect"
                     : "discard") +
         "; that works from MAIL on";
}

std::string Call::apply_queued(const Verdict &verdict) {
  if (verdict.refuses() || verdict.kind == VerdictKind::Accept) return {};
  if (skipped_) return "a handler before this one failed, so that nothing can be decided but to reject or defer";
  bool taken = true;
  if (verdict.kind == VerdictKind::Hold) taken = stage_->hold(verdict.text);
  if (verdict.kind == VerdictKind::Discard) taken = stage_->discard(verdict.text);
  if (verdict.kind == VerdictKind::Redirect) taken = stage_->redirect(verdict.text);
  if (verdict.kind == VerdictKind::Route) {
    if (!verdict.text.empty() || !verdict.relay.empty()) taken = stage_->route(verdict.text, verdict.relay);
    if (taken && !verdict.identity.empty()) taken = stage_->set_source_pool(verdict.identity);
  }
  return taken ? "" : "the host does not take what the handler returned: is it an address, a transport, a next hop?";
}

plugin::Reply Call::said(const Verdict &verdict) const {
  return skipped_ && !verdict.refuses() ? plugin::Reply{MANSIO_SKIP} : reply_of(verdict);
}

std::string Call::place(lua_State *L, int function) const {
  lua_Debug about{};
  lua_rawgeti(L, LUA_REGISTRYINDEX, function);
  lua_getinfo(L, ">S", &about);
  return std::string{about.short_src} + ':' + std::to_string(about.linedefined);
}

// Takes the error off the thread that ended in it.
std::string Call::error_of(const Strand &strand, std::optional<Verdict> *thrown) const {
  std::string message;
  const auto why = protect(state_.main(), [&](lua_State *L) {
    lua_xmove(strand.thread.lua, L, 1);
    if (thrown) *thrown = verdict_at(L, -1);
    // Not by __tostring: nothing of the script may run here, where no budget ends it.
    message = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is a " + type_name(L, -1);
  });
  return why.empty() ? message : why;
}

// The thread ended in an error, which is on top of it: a verdict that was thrown, or a fault of the script.
void Call::failed() {
  std::optional<Verdict> thrown;
  const auto message = error_of(first_, &thrown);
  const auto why = budget_.over.empty() ? message : "the call was ended: " + (thrown ? budget_.over : message);
  if (work_) {
    const auto reply = thrown ? work_->thrown(*thrown) : std::nullopt;
    if (!reply) return fail(why, true);
    reply_ = *reply;
    return;
  }
  // Nobody knows what holding or forgetting it was to be bound to.
  const bool queued = is_of_queue(stage_->stage());
  const bool verdict = thrown && (thrown->refuses() || thrown->kind == VerdictKind::Accept) &&
                       (queued ? thrown->of_queue(stage_->stage()) : thrown->of_handlers());
  if (verdict) {
    went_well();
    reply_ = said(*thrown);
  } else {
    fail(why, true);
  }
}

// Without a reply after it, the call goes on with the handlers behind the one that failed.
void Call::fail(const std::string &message, bool with_traceback) {
  log(MANSIO_LOG_ERROR, with_traceback ? state_.explain(first_.thread, message) : message);
  if (work_) {
    reply_ = work_->fault(message);
    return;
  }
  if (auto *const failing = rest(); failing && failing->failed(engine_.monotonic()))
    log(MANSIO_LOG_ERROR, place(state_.main(), handler_->function) + ": the handler failed " +
                              std::to_string(Rest::kFailures) +
                              " times in a row and is not called for a minute; its on_error stands; mend it, and have "
                              "it called at once with mansio reload");
  const auto on_error = handler_ ? handler_->on_error : OnError::Fail;
  if (on_error == OnError::Defer) {
    reply_ = local_failure();
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

void Call::log(int level, std::string_view text) const {
  const auto id = op_.id == 0 && work_ ? work_->queue_id() : std::string_view{};
  if (id.empty()) return engine_.host()->log(level, text, op_);
  engine_.host()->log(level, std::string{id} + ": " + std::string{text}, op_);
}

void Call::told(std::string line) {
  constexpr std::size_t kMostLines = 1'000, kMostOctets = std::size_t{64} << 10;
  if (told_.size() >= kMostLines || told_bytes_ + line.size() > kMostOctets) return;
  told_bytes_ += line.size();
  told_.push_back(std::move(line));
}

void Call::complete() {
  auto reply = reply_ ? *std::move(reply_) : plugin::Reply{skipped_ ? MANSIO_SKIP : MANSIO_OK};
  for (auto &line : told_) reply.value(std::move(line));
  token_.complete(reply);
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
