// Instance: one configured use of a plugin in this process, whatever its kind: create() to destroy(), the operations it
// has under way with their deadlines, and what it reaches through mansio_host. services.cpp has the C tables; this
// class is what they call. TransportInstance, LookupInstance and FilterInstance are made of it.
//
// Every call into plugin code goes through call(): it sets the crash markers, stops exceptions and, when the outermost
// call has returned, hands what the plugin reported meanwhile to Events in one go. So Events never run inside plugin
// code, and a plugin that answers at once costs no system call. A blocking plugin's start() runs on the Pool instead;
// its answers come in through the inbox, as those of any thread do.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "kernel/host/commands.hpp"
#include "kernel/host/metrics.hpp"
#include "kernel/host/operations.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/host/pool.hpp"
#include "kernel/host/reply.hpp"
#include "kernel/host/running.hpp"
#include "kernel/host/submitter.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/host/watches.hpp"
#include "kernel/process/numbers.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::host {

class Instance final {
 public:
  struct Events {
    std::function<void(const Operation &, const wire::RecipientOutcome &)> recipient;
    // The last word; the operation is closed already. Lookups and filters have Operation::done instead.
    std::function<void(const Operation &, Answer &&)> complete;
    // What the last word is when the plugin has none: it threw, or said nothing until the deadline.
    std::function<Answer(std::string why)> trouble;
    std::function<void(std::uint64_t message)> working_on;
  };
  using CancelFn = void (*)(void *self, mansio_op op);

  // `label`: what the log calls an instance of this kind, "transport". It stays.
  Instance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, const char *label,
           Events events);
  ~Instance();
  Instance(const Instance &) = delete;
  Instance &operator=(const Instance &) = delete;

  // create() and the vtable of that kind.
  Result<const void *> begin(const char *kind);
  void on_cancel(CancelFn f) { cancel_ = f; }

  // An operation with its deadline (monotonic; 0 = none). The caller passes it to the plugin with run() or, when
  // blocking(), run_blocking(). 0: too many are under way.
  std::uint64_t open(Operation operation, std::shared_ptr<const MessageSource> source, Nanos deadline,
                     std::shared_ptr<StageWork> work = nullptr);
  template <class F>
  void run(std::uint64_t op, F f) {
    if (!call(op, std::move(f)) && operations_.find(op)) end(op, events_.trouble("the plugin failed"));
  }
  void run_blocking(std::uint64_t op, std::function<void()> f);
  void cancel(std::uint64_t op);

  void *self() const { return self_; }
  bool blocking() const { return pool_.has_value(); }
  std::size_t in_flight() const { return operations_.size(); }
  std::uint64_t misbehaviours() const { return metrics_.host.misbehaviours; }
  const std::string &name() const { return options_.name; }
  const std::string &address() const { return address_; }  // by which operators call it: "lookup.people"
  // An operator's; answered within its time limit. Not through a breaker: nothing but the operator waits for it.
  void call_command(const wire::PluginCall &asked, const std::function<void(wire::PluginCalled &&)> &done);
  std::string labels() const;  // of its metrics
  void stats(const StatsSink &add) const;

  // What services.cpp calls, by service. Thread tags as in abi.h.
  void log(int level, std::uint64_t op, std::string_view text);
  void problem(std::string_view option, std::string_view text);
  mansio_str option(const char *name) const { return find(options_.options, name); }
  mansio_str fact(const char *name) const { return find(options_.facts, name); }
  void answer(std::uint64_t op, std::int64_t recipient, const mansio_reply *reply);  // recipient -1: the last word
  bool alive(std::uint64_t op) const { return operations_.alive(op); }
  std::shared_ptr<StageWork> work(std::uint64_t op) const { return operations_.work(op); }  // of a filter; null: none
  void progress(std::uint64_t op);
  bool watch(int fd, int events, mansio_ready_fn ready, void *arg);
  void forget(int fd);
  std::uint64_t timer(Nanos after, mansio_timer_fn fire, void *arg);  // 0: from a wrong thread
  void cancel_timer(std::uint64_t id);
  void post(mansio_timer_fn f, void *arg);
  Nanos now() const { return clock_.mono(); }
  void query(std::string_view name, std::uint16_t type, mansio_dns_fn done, void *arg);
  void look_up(std::string_view table, std::string_view key, mansio_lookup_fn done, void *arg);
  void take_permits(std::string_view limit, std::string_view key, std::uint32_t want, mansio_rate_fn done, void *arg);
  mansio_status command(const char *name, const char *help, mansio_command_fn what, void *arg);
  void submit(const mansio_submission *mail, mansio_submit_fn done, void *arg);
  std::uint64_t message_length(std::uint64_t op) const;
  std::int64_t message_read(std::uint64_t op, std::uint64_t offset, char *to, std::size_t n) const;
  std::size_t message_slices(std::uint64_t op, mansio_slice *to, std::size_t max, std::size_t stride) const;
  Metrics &metrics() { return metrics_; }
  process::Numbers *numbers();  // null: there is no memory for them

 private:
  struct Report {
    std::uint64_t op;
    std::int64_t recipient;
    Answer answer;
  };

  struct NamedCommand {
    std::string help;
    mansio_command_fn run = nullptr;
    void *arg = nullptr;
  };

  static mansio_str find(const std::map<std::string, std::string> &values, const char *name);
  bool on_loop() const { return std::this_thread::get_id() == thread_; }
  bool on_loop_or_misbehaves(const char *service);
  // Runs plugin code on behalf of `op` (0: none known). False if it threw.
  template <class F>
  bool call(std::uint64_t op, F f);
  void flush();
  void take(Report &report);
  void end(std::uint64_t op, Answer &&last);
  void deadline(std::uint64_t op);
  void stopped_running(std::uint64_t op);
  void mark(std::uint64_t message);
  void complain(const std::string &line);
  void misbehaves(std::string_view what, MessageId message = {});
  bool may_log();

  const Clock &clock_;
  Logger &log_;
  io::Dns &dns_;
  io::Tables *tables_;
  Running *running_in_;
  Submitter *submitter_;
  Commands *desk_;  // where it is to be found; null: nowhere
  process::SharedMemory *shared_;
  const std::uint32_t slot_;
  const mansio_plugin &plugin_;
  InstanceOptions options_;
  const char *label_;
  const Running::Code code_;   // "lookup people"
  const std::string address_;  // "lookup.people"
  Events events_;
  mansio_host host_;
  void *self_ = nullptr;
  CancelFn cancel_ = nullptr;
  const std::thread::id thread_ = std::this_thread::get_id();
  Operations operations_;
  Timers timers_;
  Watches watches_;
  Inbox inbox_;
  Metrics metrics_;
  std::map<std::string, NamedCommand, std::less<>> commands_;  // from create() on
  std::once_flag numbers_asked_;
  std::unique_ptr<process::SharedMemory> own_memory_;  // where there is none that is shared
  std::optional<process::Numbers> numbers_;
  std::vector<Report> reports_;                // of the plugin call under way
  std::unordered_set<std::uint64_t> overdue_;  // ended by their deadline, and not answered yet
  std::unordered_set<std::uint64_t> running_;  // handed to the pool and not returned
  bool beginning_ = false;                     // create() is under way
  bool ending_ = false;                        // destroy() is
  std::string complaints_;                     // what it said meanwhile
  int depth_ = 0;                              // plugin calls under way on the loop
  bool flushing_ = false;
  std::uint64_t current_ = 0;  // op on whose behalf plugin code runs on the loop
  double log_tokens_ = 0;
  Nanos log_filled_ = 0;
  std::uint64_t log_dropped_ = 0;  // since it was last said
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  std::optional<Pool> pool_;
};

// For the vtables.
inline Instance &instance_of(const mansio_host *host) { return *static_cast<Instance *>(host->ctx); }
const void *service(const char *iface);  // vtable by id, or null
const void *draft_service(std::string_view id);

// Part of run(), which callers with lambdas of their own need.
template <class F>
bool Instance::call(std::uint64_t op, F f) {
  const auto outer = current_;
  const auto message = op ? operations_.message(op).value_or(MessageId{}) : MessageId{};
  current_ = op;
  ++depth_;
  mark(message.value);
  bool fine = true;
  try {
    const Running::Scope running{running_in_, code_};
    f();
  } catch (const std::exception &e) {
    fine = false;
    misbehaves(std::string{"threw an exception: "} + e.what(), message);
  } catch (...) {
    fine = false;
    misbehaves("threw an exception", message);
  }
  current_ = outer;
  if (--depth_ == 0) {
    mark(0);
    flush();
  }
  return fine;
}

}  // namespace mansio::host
