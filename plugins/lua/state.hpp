// One state of Lua: a script loaded into a sandbox, what it registered, and the threads that its calls run on.
//
// Several calls may be under way in a state, each on a thread (coroutine) of its own, one of them running. Nothing here
// is called from two threads of the process.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/lib/pattern.hpp"
#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/memory.hpp"
#include "plugins/lua/settings.hpp"

namespace mansio::lua {

class Call;
class Engine;

// Of expressions: the memory of a state, in blocks that know their size.
class OutsideMemory final : public RegexMemory {
 public:
  explicit OutsideMemory(Memory &memory) : memory_(memory) {}
  void *take(std::size_t n) noexcept override;
  void give_back(void *block) noexcept override;

 private:
  Memory &memory_;
};

// The script cannot be used; the text has file and line.
struct LoadError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class OnError { Fail, Defer, Accept };
struct Handler {
  int function = LUA_NOREF;
  std::int64_t timeout = 0;  // ns; 0: none of its own
  OnError on_error = OnError::Fail;
};

// What mansio.provide() got under a name.
struct Provided {
  std::string place{};  // of the call, "FILE:LINE: "
  int function = LUA_NOREF;
  int give_back = LUA_NOREF;     // of a rate; LUA_NOREF: it does not want to know
  std::string mechanisms{};      // of auth, as AUTH has them
  bool takes_passwords = false;  // the same: the function judges a name and a password, and no step
  std::vector<std::pair<std::uint32_t, Handler>> handlers{};  // of a filter, with their stages
  Handler aborted{};  // the same, of messages that come to nothing; without a function: it does not want to know
};

class State {
 public:
  static constexpr std::size_t kStages = 16;

  State(Engine &engine, const Settings &settings);
  ~State();
  State(const State &) = delete;
  State &operator=(const State &) = delete;

  static State &of(lua_State *L) { return **static_cast<State **>(lua_getextraspace(L)); }

  // What the script registered: also what it provides as the filter that this instance is.
  void add_handler(std::uint32_t stage, const Handler &handler) { handlers_.at(stage).push_back(handler); }
  const std::vector<Handler> &handlers(std::uint32_t stage) const { return handlers_.at(stage); }
  // Of messages that come to nothing.
  void add_abort_handler(const Handler &handler) { abort_handlers_.push_back(handler); }
  const std::vector<Handler> &abort_handlers() const { return abort_handlers_; }
  // Of what became of messages.
  void add_listener(std::uint32_t event, const Handler &handler) { listeners_.at(event).push_back(handler); }
  const std::vector<Handler> &listeners(std::uint32_t event) const { return listeners_.at(event); }
  using ByName = std::map<std::string, Provided, std::less<>>;
  bool add_provided(ProvideKind kind, const std::string &name, const Provided &provided) {
    return provided_.at(static_cast<std::size_t>(kind)).emplace(name, provided).second;
  }
  const ByName &provided(ProvideKind kind) const { return provided_.at(static_cast<std::size_t>(kind)); }
  const Provided *find(ProvideKind kind, std::string_view name) const;  // null: there is none
  // Commands for operators, by name; false: there is one already.
  bool add_command(const std::string &name, int function) { return commands_.emplace(name, function).second; }
  int command(std::string_view name) const;  // LUA_NOREF: there is none
  bool has_commands() const { return !commands_.empty(); }
  // Settings of the configuration that the script knows; false: it has declared that one.
  using OptionNames = std::set<std::string, std::less<>>;
  bool declare_option(const std::string &name) { return options_.insert(name).second; }
  const OptionNames &declared_options() const { return options_; }
  std::uint64_t stages() const;
  std::uint64_t events() const;
  bool registers_the_same(const State &other) const;
  bool loading() const { return loading_; }

  // A thread for a call, and back again: `good` when it may be used once more. Throws ScriptError without memory.
  struct Thread {
    lua_State *lua = nullptr;
    int reference = LUA_NOREF;
  };
  Thread take_thread();
  void give_back(const Thread &thread, bool good);

  // Around everything that a call runs, a thread at a time.
  void enter(Call &call, Budget &budget, lua_State *thread);
  void leave();
  Call *call() const { return call_; }  // that runs now
  Budget *budget() const { return budget_; }

  // What a failed thread has on top: protected, with the way that led there. The text is one line.
  std::string explain(const Thread &thread, const std::string &message);

  // Memory outside of Lua for the call that runs; false: it may not hold that much.
  bool set_aside(std::size_t n) { return memory_.set_aside(n); }

  // Work that no count hook sees, such as a search in long text: so many instructions' worth.
  void charge(lua_State *L, std::uint64_t n);

  // A match within the time that the running call has left.
  bool match(lua_State *L, const Regex &regex, std::string_view subject, std::size_t start, std::uint32_t options = 0);

  Engine &engine() const { return engine_; }
  // Lua's pattern, compiled; throws ScriptError.
  std::shared_ptr<const Pattern> pattern(lua_State *L, std::string_view text, bool anchors = true);
  // Memory outside of Lua that is counted as Lua's own. The collector knows nothing of it, and is driven by allocate():
  // it runs make(), and when that throws std::bad_alloc once more after a collection; then it throws ScriptError, that
  // there is no memory for `what`. What the first time has left on the stack is taken off.
  RegexMemory &outside() { return outside_; }
  void allocate(lua_State *L, const char *what, const std::function<void()> &make);
  lua_State *main() const { return main_; }
  std::size_t memory_used() const { return memory_.used(); }
  bool full() const { return memory_.full(); }
  std::size_t call_memory() const { return call_memory_; }

  std::uint64_t uses = 0;     // calls begun
  std::size_t under_way = 0;  // calls that have not ended
  std::int64_t born;          // by the engine's clock

 private:
  void load(const Settings &settings);
  static bool allocated(const std::function<void()> &make);

  Engine &engine_;
  Memory memory_;
  OutsideMemory outside_{memory_};
  std::size_t call_memory_;
  lua_State *main_ = nullptr;
  bool loading_ = true;
  Call *call_ = nullptr;
  Budget *budget_ = nullptr;
  PatternCache patterns_;
  std::array<std::vector<Handler>, kStages> handlers_{};
  std::vector<Handler> abort_handlers_;
  std::array<std::vector<Handler>, kMessageEvents.size()> listeners_{};
  std::array<ByName, kProvideKinds.size()> provided_{};
  std::map<std::string, int, std::less<>> commands_;
  OptionNames options_;
  std::vector<Thread> idle_;
};

}  // namespace mansio::lua
