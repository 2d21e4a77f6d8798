// A script that runs: its states, the calls under way, and what all states of the process share (metrics, exchanges of
// AUTH). Counters, windows and rates are the host's, and all processes share them. Without a host, as when a
// configuration is checked, it loads the script and no more.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "mansio/auth.hpp"
#include "mansio/draft/services.h"
#include "mansio/event.hpp"
#include "mansio/filter.hpp"
#include "mansio/numbers.hpp"
#include "mansio/rate.hpp"
#include "plugins/lua/auth.hpp"
#include "plugins/lua/declarations.hpp"
#include "plugins/lua/rest.hpp"
#include "plugins/lua/settings.hpp"
#include "plugins/lua/state.hpp"
#include "plugins/lua/wait.hpp"

namespace mansio::lua {

class Services;

// A sliding window and a rate of the script; times in ns.
struct WindowOf {
  std::string name;
  std::int64_t length;
};
struct RateOf {
  std::string name;
  std::int64_t interval, burst;  // one each interval, room for burst
};

// A file that the script required.
struct Module {
  std::string path, text;
};

class Engine {
 public:
  // Throws LoadError.
  Engine(const plugin::Host *host, Settings settings);
  ~Engine();
  Engine(const Engine &) = delete;
  Engine &operator=(const Engine &) = delete;

  // The stages that have handlers, bit 1 << stage; and the events of messages.
  std::uint64_t stages() const { return stages_; }
  std::uint64_t events() const { return states_.front()->events(); }
  // What the configuration calls this instance.
  const std::string &instance() const { return settings_.instance; }
  // What it provides under the name of this instance; null: nothing of that kind.
  const Provided *provided(ProvideKind kind) const;
  // Of what it should have as `kind`: missing_of().
  std::string missing(std::string_view kind) const;

  void begin(plugin::Stage stage, plugin::Token token);
  void begin(plugin::LookupRequest request, plugin::Token token);
  void begin(plugin::Delivery delivery, plugin::Token token);
  void begin(plugin::AuthStep step, plugin::Token token);
  void begin(plugin::LeaseRequest request, plugin::Token token);
  void begin(const std::string &command, std::vector<std::string> arguments, plugin::Token token);
  void cancel(mansio_op op);

  // What nobody waits for. It may wait itself, for a while.
  void tell(const plugin::Event &event);
  void abort(std::string_view session, std::string_view queue_id);  // that message comes to nothing
  void give_back(std::string_view limit, std::string_view key, std::uint32_t unused);
  void forget_exchange(std::uint64_t exchange) { exchanges_.forget(exchange); }

  // From callbacks: a thread of the call goes on, at once unless one runs now; or the call has not ended in time.
  void wake(Call &call, Strand &strand) noexcept;
  void expire(Call &call) noexcept;

  const plugin::Host *host() const { return host_; }  // null while a configuration is checked
  const Settings &settings() const { return settings_; }
  bool has_states() const { return !states_.empty(); }  // false while the first one is made
  // What scripts are told of time, in ns: the host's clock, and the one since 1970. Where the host's is virtual, as
  // under `mansio lua test`, it is both. (Budgets are of the processor's: computed_ns().)
  std::int64_t monotonic() const;
  std::int64_t wall() const;
  std::uint64_t next_serial() { return ++serial_; }
  Services &services() { return *services_; }  // of calls
  Wait &add_wait(Call &call, Strand &strand);
  void forget(Wait &wait) { waits_.erase(&wait); }

  // Of a handler, by its place among those of its stage; the same in all states.
  Rest &rest(std::uint32_t stage, std::size_t handler);

  // A metric of this name; the host defines it while the instance is made, later states find it. Throws ScriptError.
  std::uint32_t metric(const std::string &name, const std::string &help, bool gauge);
  // A command of the script's: the host is told of it while the instance is made, later states find it there. Throws
  // ScriptError.
  void offer_command(const std::string &name, const std::string &help);
  std::map<std::string, Module> &modules() { return modules_; }                       // by their names
  const plugin::Numbers *numbers() const { return numbers_ ? &*numbers_ : nullptr; }  // null: nothing is counted
  // What the script calls so, which outlives every state; null: it was made with other numbers. Throw ScriptError when
  // there are too many.
  const WindowOf *window(const std::string &name, std::int64_t length);
  const RateOf *rate(const std::string &name, std::int64_t interval, std::int64_t burst);

 private:
  static void called(void *arg, mansio_op op, const mansio_str *arguments, std::size_t n);
  State &pick();
  std::unique_ptr<State> fresh();  // throws LoadError
  bool worn(const State &state) const;
  bool resume(Call &call);
  std::string names_of(ProvideKind kind) const;  // that it provides, for people: "a, b", or "none"
  std::string nothing_provided(ProvideKind kind, const std::string &name) const;
  void run(std::unique_ptr<Call> call);
  void ask(State &state, std::unique_ptr<Work> work, int function, plugin::Token token);
  void tell(State &state, std::unique_ptr<Work> work, int function, std::int64_t time_limit);
  std::unique_ptr<Call> take(std::uint64_t serial);  // it is under way no more
  void go_on(std::uint64_t serial);
  void catch_up();
  void ended(State &state);

  const plugin::Host *host_;
  const Settings settings_;
  const bool virtual_clock_;
  std::uint64_t stages_ = 0, serial_ = 0;
  bool made_ = false;  // the instance has been: no metrics and commands any more
  struct Command {     // what the host calls
    Engine *engine;
    std::string name;
  };
  std::map<std::string, std::unique_ptr<Command>> commands_;
  std::map<std::string, std::uint32_t> metrics_;
  std::optional<plugin::Numbers> numbers_;
  std::map<std::string, WindowOf> windows_;
  std::map<std::string, RateOf> rates_;
  std::array<std::vector<Rest>, State::kStages> rests_{};  // as far as they were asked for
  std::map<std::string, Module> modules_;
  Exchanges exchanges_;
  std::unordered_map<Wait *, std::unique_ptr<Wait>> waits_;
  std::unique_ptr<Services> services_;  // null without a host
  bool busy_ = false;                   // a call runs
  std::vector<std::uint64_t> woken_;    // calls that were meanwhile, by serial
  std::vector<std::unique_ptr<State>> states_, retired_;
  std::size_t turn_ = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Call>> calls_;  // that wait, by serial
  std::unordered_map<std::uint64_t, std::uint64_t> by_operation_;   // the serials of those that somebody waits for
};

}  // namespace mansio::lua
