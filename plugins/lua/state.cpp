#include "plugins/lua/state.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/check/check.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/sandbox.hpp"

namespace mansio::lua {
namespace {

// What a script may cost to load; it does so once, before traffic or when a state is made anew.
constexpr std::uint64_t kLoadInstructions = 100'000'000;
constexpr std::int64_t kLoadTime = 5'000'000'000;
constexpr std::size_t kIdleThreads = 256;
// From mail to end-of-message.
constexpr std::uint64_t kStagesOfMessage =
    (std::uint64_t{2} << MANSIO_STAGE_END_OF_MESSAGE) - (std::uint64_t{1} << MANSIO_STAGE_MAIL);

int panicked(lua_State *L) {
  std::fprintf(stderr, "lua: an error where none can be: %s\n",
               lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not a text");
  std::abort();
}

constexpr std::size_t kSizeRoom = alignof(std::max_align_t);
static_assert(kSizeRoom >= sizeof(std::size_t));

}  // namespace

void *OutsideMemory::take(std::size_t n) noexcept {
  if (n > SIZE_MAX - kSizeRoom) return nullptr;
  auto *const block = static_cast<char *>(Memory::allocate(&memory_, nullptr, 0, n + kSizeRoom));
  if (!block) return nullptr;
  new (block) std::size_t{n + kSizeRoom};
  return block + kSizeRoom;
}

void OutsideMemory::give_back(void *block) noexcept {
  if (!block) return;
  auto *const begin = static_cast<char *>(block) - kSizeRoom;
  Memory::allocate(&memory_, begin, *reinterpret_cast<const std::size_t *>(begin), 0);
}

void count_hook(lua_State *L, lua_Debug *) {
  auto *budget = State::of(L).budget();
  if (!budget) return;
  const bool hurried = lua_gethookcount(L) == 1;
  budget->charge(hurried ? 1 : kHookStep);
  if (budget->over.empty()) {
    if (hurried) lua_sethook(L, count_hook, LUA_MASKCOUNT, kHookStep);
    return;
  }
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
  luaL_where(L, 0);
  lua_pushstring(L, budget->over.c_str());
  lua_concat(L, 2);
  lua_error(L);
}

State::State(Engine &engine, const Settings &settings)
    : born(engine.monotonic()), engine_(engine), memory_(settings.state_memory), call_memory_(settings.call_memory) {
  main_ = lua_newstate(&Memory::allocate, &memory_);
  if (!main_) throw LoadError{"no memory for a state of Lua"};
  lua_atpanic(main_, panicked);
  *static_cast<State **>(lua_getextraspace(main_)) = this;
  try {
    load(settings);
  } catch (...) {
    lua_close(main_);
    throw;
  }
}

State::~State() { lua_close(main_); }

void State::load(const Settings &settings) {
  auto why = protect(main_, [&](lua_State *L) { open_sandbox(L, settings); });
  if (!why.empty()) throw LoadError{"the libraries cannot be made: " + why};
  Budget budget;
  budget.instructions = kLoadInstructions;
  budget.memory = settings.state_memory;
  budget.run_time = kLoadTime;
  budget.begin_slice();
  memory_.enter(budget, main_);
  budget_ = &budget;
  lua_sethook(main_, count_hook, LUA_MASKCOUNT, kHookStep);
  why = protect(main_, [&](lua_State *L) {
    const auto name = "@" + settings.path;
    if (luaL_loadbufferx(L, settings.text.data(), settings.text.size(), name.c_str(), "t") != LUA_OK) lua_error(L);
    lua_call(L, 0, 0);
  });
  budget_ = nullptr;
  memory_.leave();
  lua_sethook(main_, count_hook, LUA_MASKCOUNT, kHookStep);
  if (why.empty()) why = stray_setting(*this);
  if (!why.empty()) throw LoadError{why};
  if (!engine_.has_states()) why = check_functions(main_, settings.path, settings.text);  // once: it is the same text
  if (!why.empty()) throw LoadError{why};
  if (const auto *const filter = find(ProvideKind::Filter, engine_.instance())) {
    for (const auto &[stage, handler] : filter->handlers) add_handler(stage, handler);
    if (filter->aborted.function != LUA_NOREF) add_abort_handler(filter->aborted);
  }
  loading_ = false;
  memory_.loaded();
  const bool provides = std::any_of(provided_.begin(), provided_.end(), [](const auto &p) { return !p.empty(); });
  if (stages() == 0 && events() == 0 && !provides && abort_handlers_.empty())
    throw LoadError{settings.path + " registers nothing: it calls neither mansio.on nor mansio.provide"};
  if (!abort_handlers_.empty() && (stages() & kStagesOfMessage) == 0 && provided(ProvideKind::Filter).empty())
    throw LoadError{settings.path +
                    " has a handler of \"abort\", which is told of messages that the script has seen something of: it "
                    "needs another one of mail, rcpt, data, header, eoh, body or end-of-message"};
}

const Provided *State::find(ProvideKind kind, std::string_view name) const {
  const auto &all = provided(kind);
  const auto found = all.find(name);
  return found == all.end() ? nullptr : &found->second;
}

int State::command(std::string_view name) const {
  const auto found = commands_.find(name);
  return found == commands_.end() ? LUA_NOREF : found->second;
}

std::uint64_t State::stages() const {
  std::uint64_t bits = 0;
  for (std::size_t stage = 0; stage < kStages; ++stage)
    if (!handlers_[stage].empty()) bits |= std::uint64_t{1} << stage;
  return bits;
}

std::uint64_t State::events() const {
  std::uint64_t bits = 0;
  for (std::size_t event = 0; event < listeners_.size(); ++event)
    if (!listeners_[event].empty()) bits |= std::uint64_t{1} << event;
  return bits;
}

bool State::registers_the_same(const State &other) const {
  const auto as_many = [](const auto &a, const auto &b) { return a.size() == b.size(); };
  const auto same = [](const auto &a, const auto &b) {
    return a.first == b.first && a.second.mechanisms == b.second.mechanisms &&
           a.second.takes_passwords == b.second.takes_passwords;
  };
  const auto same_names = [&](const ByName &a, const ByName &b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
  };
  const auto same_name = [](const auto &a, const auto &b) { return a.first == b.first; };
  return std::equal(handlers_.begin(), handlers_.end(), other.handlers_.begin(), as_many) &&
         abort_handlers_.size() == other.abort_handlers_.size() &&
         std::equal(commands_.begin(), commands_.end(), other.commands_.begin(), other.commands_.end(), same_name) &&
         std::equal(listeners_.begin(), listeners_.end(), other.listeners_.begin(), as_many) &&
         std::equal(provided_.begin(), provided_.end(), other.provided_.begin(), same_names);
}

State::Thread State::take_thread() {
  if (!idle_.empty()) {
    const auto thread = idle_.back();
    idle_.pop_back();
    lua_sethook(thread.lua, count_hook, LUA_MASKCOUNT, kHookStep);
    return thread;
  }
  Thread thread;
  const auto why = protect(main_, [&](lua_State *L) {
    thread.lua = lua_newthread(L);  // with the hook of its parent
    thread.reference = luaL_ref(L, LUA_REGISTRYINDEX);
  });
  if (!why.empty()) throw ScriptError{why};
  return thread;
}

void State::give_back(const Thread &thread, bool good) {
  if (good && idle_.size() < kIdleThreads) {
    lua_settop(thread.lua, 0);
    idle_.push_back(thread);
  } else {
    luaL_unref(main_, LUA_REGISTRYINDEX, thread.reference);
  }
}

void State::enter(Call &call, Budget &budget, lua_State *thread) {
  call_ = &call;
  budget_ = &budget;
  memory_.enter(budget, thread);
}

void State::leave() {
  memory_.leave();
  call_ = nullptr;
  budget_ = nullptr;
}

std::string State::explain(const Thread &thread, const std::string &message) {
  std::string text = message;
  protect(main_, [&](lua_State *L) {
    luaL_traceback(L, thread.lua, message.c_str(), 0);
    text = lua_tostring(L, -1);
  });
  std::string line;
  for (const char c : text) {
    if (c == '\n')
      line += "; ";
    else if (c != '\t')
      line += c;
  }
  return line;
}

bool State::match(lua_State *L, const Regex &regex, std::string_view subject, std::size_t start,
                  std::uint32_t options) {
  try {
    return regex.match(subject, start, options, budget_);
  } catch (const ScriptError &) {
    charge(L, 0);  // when it was the time, that is the error, and stays it
    throw;
  }
}

std::shared_ptr<const Pattern> State::pattern(lua_State *L, std::string_view text, bool anchors) {
  if (auto known = patterns_.find(text, anchors)) return known;
  charge(L, 1000 + 4 * text.size());
  const auto translated = translate_pattern(text, anchors);
  std::shared_ptr<const Pattern> made;
  allocate(L, "a pattern", [&] { made = std::make_shared<const Pattern>(translated, outside_); });
  patterns_.keep(text, anchors, made);
  return made;
}

bool State::allocated(const std::function<void()> &make) {
  try {
    make();
    return true;
  } catch (const std::bad_alloc &) {
    return false;
  }
}

void State::allocate(lua_State *L, const char *what, const std::function<void()> &make) {
  const int top = lua_gettop(L);
  if (allocated(make)) return;
  lua_settop(L, top);
  patterns_.clear();
  lua_gc(L, LUA_GCCOLLECT);
  if (!allocated(make)) throw ScriptError{std::string{"not enough memory for "} + what + " (call_memory)"};
}

void State::charge(lua_State *L, std::uint64_t n) {
  if (!budget_) return;
  budget_->charge(n);
  if (budget_->over.empty()) return;
  lua_sethook(L, count_hook, LUA_MASKCOUNT, 1);
  throw ScriptError{budget_->over};
}

}  // namespace mansio::lua
