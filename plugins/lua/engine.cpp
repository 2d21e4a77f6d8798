#include "plugins/lua/engine.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>
#include <variant>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/call.hpp"
#include "plugins/lua/command.hpp"
#include "plugins/lua/event.hpp"
#include "plugins/lua/io/services.hpp"
#include "plugins/lua/lease.hpp"
#include "plugins/lua/lookup.hpp"
#include "plugins/lua/purpose.hpp"

namespace mansio::lua {
namespace {

// Of calls that nobody waits for: as many at once, and for as long.
constexpr std::size_t kMostTold = 1'000;
constexpr std::int64_t kToldTime = 60'000'000'000;
// Of a command: the host waits a second longer, and would only say that it took too long.
constexpr std::int64_t kCommandTime = 19'000'000'000;

struct Busy {
  bool &flag;
  explicit Busy(bool &f) : flag(f) { flag = true; }
  ~Busy() { flag = false; }
  Busy(const Busy &) = delete;
  Busy &operator=(const Busy &) = delete;
};

}  // namespace

Engine::Engine(const plugin::Host *host, Settings settings)
    : host_(host), settings_(std::move(settings)), virtual_clock_(host && !host->fact("virtual_clock").empty()) {
  if (host_) {
    services_ = std::make_unique<Services>(*host_);
    numbers_.emplace(*host_);
  }
  const auto n = host_ ? settings_.states : 1;
  for (std::size_t i = 0; i < n; ++i) states_.push_back(fresh());
  stages_ = states_.front()->stages();
  made_ = true;
}

Engine::~Engine() {
  calls_.clear();     // before the waits that they are in, and their states
  services_.reset();  // what is under way there ends, and finds nobody
}

// The host was told once what it is to ask for: a state with fewer handlers would let pass what another one refuses.
std::unique_ptr<State> Engine::fresh() {
  auto made = std::make_unique<State>(*this, settings_);
  if (!states_.empty() && !made->registers_the_same(*states_.front()))
    throw LoadError{settings_.path +
                    " registers other handlers, lookups or transports, or something else, than when "
                    "it was first loaded"};
  return made;
}

State &Engine::pick() {
  turn_ = (turn_ + 1) % states_.size();
  auto &state = states_[turn_];
  if (worn(*state)) {
    try {
      auto next = fresh();
      auto old = std::exchange(state, std::move(next));
      if (old->under_way != 0) retired_.push_back(std::move(old));
    } catch (const std::exception &e) {
      host_->error(std::string{"the script cannot be loaded again; its old state goes on: "} + e.what());
      state->uses = 0;
      state->born = monotonic();
    }
  }
  return *state;
}

bool Engine::worn(const State &state) const {
  constexpr std::int64_t kLeastAge = 1'000'000'000;  // of one that is full: loading costs more than most calls
  return (settings_.state_uses != 0 && state.uses >= settings_.state_uses) ||
         (settings_.state_age != 0 && monotonic() - state.born > settings_.state_age) ||
         // Full of what its script keeps, and not of what calls hold.
         (state.under_way == 0 && state.uses != 0 && state.memory_used() > settings_.state_memory / 2) ||
         // So full that calls fail, though others hold it up.
         (state.full() && monotonic() - state.born > kLeastAge);
}

void Engine::begin(plugin::Stage stage, plugin::Token token) {
  auto &state = pick();
  run(std::make_unique<Call>(*this, state, std::move(stage), std::move(token)));
}

const Provided *Engine::provided(ProvideKind kind) const { return states_.front()->find(kind, instance()); }

std::string Engine::names_of(ProvideKind kind) const {
  std::string names;
  for (const auto &[name, ignored] : states_.front()->provided(kind)) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

std::string Engine::missing(std::string_view kind) const { return missing_of(*states_.front(), kind, instance()); }

std::string Engine::nothing_provided(ProvideKind kind, const std::string &name) const {
  const std::string what{kProvideKinds.at(static_cast<std::size_t>(kind))};
  return "the script provides no " + what + " \"" + name + "\"; it has " + names_of(kind);
}

void Engine::begin(plugin::LookupRequest request, plugin::Token token) {
  auto &state = pick();
  const auto *const found = state.find(ProvideKind::Lookup, request.table);
  if (!found) return token.complete(plugin::defer(nothing_provided(ProvideKind::Lookup, request.table)));
  ask(state, std::make_unique<LookupWork>(std::move(request)), found->function, std::move(token));
}

void Engine::begin(plugin::Delivery delivery, plugin::Token token) {
  auto &state = pick();
  const auto &name = instance();
  const auto *const found = state.find(ProvideKind::Transport, name);
  if (!found)
    return token.complete(plugin::Reply{MANSIO_INTERNAL, {4, 3, 5}, nothing_provided(ProvideKind::Transport, name)});
  ask(state, std::make_unique<DeliveryWork>(std::move(delivery)), found->function, std::move(token));
}

void Engine::begin(plugin::AuthStep step, plugin::Token token) {
  auto &state = pick();
  const auto &name = instance();
  const auto *const found = state.find(ProvideKind::Auth, name);
  if (!found) return token.complete(plugin::defer(nothing_provided(ProvideKind::Auth, name)));
  auto exchange = exchanges_.take(step.exchange);
  std::optional<sasl::Credentials> credentials;
  if (found->takes_passwords) {
    auto heard = sasl::hear(step, exchange.name);
    if (const auto *const reply = std::get_if<plugin::Reply>(&heard)) {
      if (reply->status() == MANSIO_SKIP) exchanges_.keep(step.exchange, std::move(exchange));
      return token.complete(*reply);
    }
    credentials = std::move(std::get<sasl::Credentials>(heard));
    if (credentials->password.empty()) return token.complete(plugin::wrong_credentials("no password"));
  }
  ask(state, std::make_unique<AuthWork>(std::move(step), std::move(exchange), std::move(credentials), exchanges_),
      found->function, std::move(token));
}

void Engine::begin(plugin::LeaseRequest request, plugin::Token token) {
  auto &state = pick();
  const auto &name = instance();
  const auto *const found = state.find(ProvideKind::Rate, name);
  if (!found) return token.complete(plugin::defer(nothing_provided(ProvideKind::Rate, name)));
  ask(state, std::make_unique<LeaseWork>(std::move(request)), found->function, std::move(token));
}

void Engine::begin(const std::string &command, std::vector<std::string> arguments, plugin::Token token) {
  auto &state = pick();
  auto call = std::make_unique<Call>(*this, state, std::make_unique<CommandWork>(std::move(arguments)),
                                     state.command(command), std::move(token));
  call->end_within(kCommandTime);
  run(std::move(call));
}

void Engine::tell(const plugin::Event &event) {
  if (event.event() >= kMessageEvents.size()) return;
  auto &state = pick();
  for (const auto &handler : state.listeners(event.event()))
    tell(state, std::make_unique<EventWork>(event), handler.function, handler.timeout);
}

void Engine::abort(std::string_view session, std::string_view queue_id) {
  if (states_.front()->abort_handlers().empty()) return;
  auto &state = pick();
  for (const auto &handler : state.abort_handlers())
    tell(state, std::make_unique<AbortWork>(session, queue_id), handler.function, handler.timeout);
}

void Engine::give_back(std::string_view limit, std::string_view key, std::uint32_t unused) {
  auto &state = pick();
  const auto *const found = state.find(ProvideKind::Rate, instance());
  if (!found || found->give_back == LUA_NOREF) return;
  tell(state, std::make_unique<UnusedWork>(limit, key, unused), found->give_back, 0);
}

void Engine::ask(State &state, std::unique_ptr<Work> work, int function, plugin::Token token) {
  run(std::make_unique<Call>(*this, state, std::move(work), function, std::move(token)));
}

void Engine::tell(State &state, std::unique_ptr<Work> work, int function, std::int64_t time_limit) {
  if (calls_.size() - by_operation_.size() >= kMostTold) {
    host_->warn("more than 1000 calls wait that nobody asked for an answer: one is dropped; let them wait for less");
    return;
  }
  auto call = std::make_unique<Call>(*this, state, std::move(work), function, plugin::Token{*host_, mansio_op{0}});
  call->end_within(time_limit != 0 ? time_limit : kToldTime);
  run(std::move(call));
}

// Calls never run inside of each other: what is woken meanwhile goes on afterwards.
bool Engine::resume(Call &call) {
  const Busy busy{busy_};
  return call.resume();
}

void Engine::run(std::unique_ptr<Call> call) {
  auto &state = call->state();
  if (resume(*call)) {
    call.reset();
    ended(state);
  } else {
    const auto serial = call->serial();
    if (call->op().id != 0) by_operation_.insert_or_assign(call->op().id, serial);
    calls_.insert_or_assign(serial, std::move(call));
  }
  catch_up();
}

std::unique_ptr<Call> Engine::take(std::uint64_t serial) {
  auto node = calls_.extract(serial);
  if (node.empty()) return nullptr;
  by_operation_.erase(node.mapped()->op().id);
  return std::move(node.mapped());
}

void Engine::go_on(std::uint64_t serial) {
  const auto found = calls_.find(serial);
  if (found == calls_.end()) return;
  auto &state = found->second->state();
  if (!resume(*found->second)) return;
  take(serial).reset();
  ended(state);
}

void Engine::catch_up() {
  while (!woken_.empty()) {
    const auto serial = woken_.back();
    woken_.pop_back();
    go_on(serial);
  }
}

void Engine::wake(Call &call, Strand &strand) noexcept {
  const auto op = call.op();
  try {
    call.ready(strand);
    if (call.runs()) return;  // and sees it
    if (busy_) return woken_.push_back(call.serial());
    go_on(call.serial());
    catch_up();
  } catch (const std::exception &e) {
    host_->error(e.what(), op);
  }
}

void Engine::expire(Call &call) noexcept {
  const auto op = call.op();
  try {
    auto &state = call.state();
    bool over = false;
    {
      const Busy busy{busy_};
      over = call.expire("it took more than its time");
    }
    if (over) {
      take(call.serial()).reset();
      ended(state);
    }
    catch_up();
  } catch (const std::exception &e) {
    host_->error(e.what(), op);
  }
}

void Engine::cancel(mansio_op op) {
  const auto found = by_operation_.find(op.id);
  if (found == by_operation_.end()) return;
  auto call = take(found->second);
  auto &state = call->state();
  call->cancel();
  call.reset();
  ended(state);
}

void Engine::ended(State &state) {
  if (state.under_way == 0 && !retired_.empty())
    std::erase_if(retired_, [](const auto &old) { return old->under_way == 0; });
}

Rest &Engine::rest(std::uint32_t stage, std::size_t handler) {
  auto &all = rests_.at(stage);
  if (all.size() <= handler) all.resize(handler + 1);
  return all[handler];
}

std::int64_t Engine::monotonic() const { return host_ ? host_->now() : steady_ns(); }

std::int64_t Engine::wall() const {
  if (virtual_clock_) return host_->now();
  return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
}

Wait &Engine::add_wait(Call &call, Strand &strand) {
  auto made = std::make_unique<Wait>(Wait{this, &call, &strand});
  auto &wait = *made;
  waits_.emplace(&wait, std::move(made));
  return wait;
}

std::uint32_t Engine::metric(const std::string &name, const std::string &help, bool gauge) {
  if (const auto known = metrics_.find(name); known != metrics_.end()) return known->second;
  if (!host_) return 0;
  if (made_) throw ScriptError{"the metric " + name + " is new: metrics are defined when the script is first loaded"};
  const auto id = gauge ? host_->gauge(name.c_str(), help.c_str()) : host_->counter(name.c_str(), help.c_str());
  if (id == 0)
    throw ScriptError{"the metric \"" + name +
                      "\" was refused, expected a name of [a-z0-9_] that is not the host's own"};
  return metrics_[name] = id;
}

void Engine::offer_command(const std::string &name, const std::string &help) {
  if (!host_ || commands_.contains(name)) return;
  if (made_) throw ScriptError{"the command " + name + " is new: commands are named when the script is first loaded"};
  auto made = std::make_unique<Command>(Command{this, name});
  const auto *const control = host_->service<mansio_host_control>("mansio.host.control/1~draft");
  if (control->command(host_->raw(), name.c_str(), help.c_str(), &called, made.get()) != MANSIO_OK)
    throw ScriptError{"the command \"" + name + "\" was refused: there are more than 100"};
  commands_[name] = std::move(made);
}

void Engine::called(void *arg, mansio_op op, const mansio_str *arguments, std::size_t n) {
  const auto &command = *static_cast<Command *>(arg);
  auto &engine = *command.engine;
  try {
    std::vector<std::string> copied;
    copied.reserve(n);
    for (std::size_t i = 0; i < n; ++i) copied.push_back(plugin::string(arguments[i]));
    engine.begin(command.name, std::move(copied), plugin::Token{*engine.host_, op});
  } catch (const std::exception &e) {
    // Where a token was given away it has said so already.
    if (engine.host_->alive(op)) engine.host_->complete(op, plugin::Reply{MANSIO_INTERNAL, {}, e.what()});
  }
}

const WindowOf *Engine::window(const std::string &name, std::int64_t length) {
  constexpr std::size_t kMostWindows = 1'000;
  if (windows_.size() >= kMostWindows && !windows_.contains(name))
    throw ScriptError{"there are too many windows; one has room for many keys"};
  const auto &window = windows_.try_emplace(name, WindowOf{name, length}).first->second;
  return window.length == length ? &window : nullptr;
}

const RateOf *Engine::rate(const std::string &name, std::int64_t interval, std::int64_t burst) {
  constexpr std::size_t kMostRates = 1'000;
  if (rates_.size() >= kMostRates && !rates_.contains(name))
    throw ScriptError{"there are too many rates; one has room for many keys"};
  const auto &rate = rates_.try_emplace(name, RateOf{name, interval, burst}).first->second;
  return rate.interval == interval && rate.burst == burst ? &rate : nullptr;
}

}  // namespace mansio::lua
