// What every role process has in common: the channel to the supervisor, start, privilege drop, attach, drain.
// A role derives from Role and is run by run_role(), as a process or (with --single) as a thread, so it keeps
// no mutable globals.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::process {

// The shared memory of one generation: small, lock-free, survives its writers. Offsets are fixed (shared.hpp).
class SharedMemory;

// What a role is given at birth. Lives as long as the role.
struct RoleContext {
  asio::io_context &loop;
  const Clock &clock;
  Logger &log;
  const config::Settings &settings;
  const wire::Start &start;
  SharedMemory &shared;
  // Opens a file the configuration names, through the supervisor (root may be needed).
  std::function<void(const std::string &path, std::function<void(Result<io::UniqueFd>)>)> open_file;
  // Ends the role: what its channels still hold is sent, then run_role() returns once the loop is empty, and
  // anyway a few seconds later.
  std::function<void()> finished;
  // control: an operator's order to the supervisor, answered by Role::command_result. False: not sent.
  std::function<bool(const wire::Command &)> ask_supervisor;
  // The channel to a living peer broke: ask for another. A Dead or an Attach follows.
  std::function<void(const wire::Peer &)> lost_peer;
  // queue: that egress or host process hangs: kill it. A Dead follows.
  std::function<void(const wire::Peer &, std::string_view reason)> end_peer;
  // queue: whether plugins are to be told the lines of the log. They come by Role::log_lines.
  std::function<void(bool)> want_log{};
};

class Role {
 public:
  virtual ~Role() = default;

  // Everything that can fail at start. Privileges are gone by then: what needs them comes from the supervisor
  // (listeners, open_file), and so every file made here belongs to the user it will be used by. Called outside
  // the loop, which may be run here (run_one) to wait for open_file. Ready is sent afterwards.
  virtual Result<void> prepare(RoleContext &context) = 0;
  virtual void run() {}

  virtual void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) = 0;  // not started yet
  // The same of one that this role asks, for those that both ask and are asked.
  virtual void attach_asked(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) {
    attach(peer, std::move(channel));
  }
  virtual void attach_done() {}
  virtual void dead(const wire::Dead &) {}
  virtual void listener(const wire::Listener &, io::UniqueFd) {}
  // queue: that peer will be told to drain next; give it nothing new. Itself: give nothing to anybody.
  virtual void draining(const wire::Peer &) {}
  // queue and control: a new configuration. `settings` lives as long as the role. False: drain me and start me anew.
  virtual bool reload(const config::Settings & /*settings*/, std::uint32_t /*config_epoch*/) { return false; }
  // Take no new work, finish what is in hand, then call context.finished(). Called again only with an earlier deadline,
  // and not once finished.
  virtual void drain(Nanos deadline_mono) = 0;
  // ingress: a reload. No new sessions, but those in progress may go on until `sessions_until`; then as drain(),
  // which may be called before that, with the same deadline.
  virtual void retire(Nanos deadline_mono, Nanos /*sessions_until*/) { drain(deadline_mono); }
  // Counters and gauges by Prometheus name, and texts about them (wire::Stats), for `mansio status` and the metrics
  // endpoint.
  virtual void stats(const std::function<void(std::string name, double value)> &) {}
  // An operator calls a command of a plugin instance, which may be here; `done` is to run once.
  virtual void plugin_call(const wire::PluginCall &, const std::function<void(wire::PluginCalled &&)> &done) {
    done({});
  }
  // supervisor -> control only
  virtual void command_result(const wire::CommandResult &) {}
  virtual void peer_stats(const wire::Stats &) {}
  // supervisor -> queue only: of all processes
  virtual void log_lines(const wire::LogLines &) {}
};

using RoleFactory = std::function<std::unique_ptr<Role>()>;

// Runs one role on `supervisor` (its end of the channel) until it is finished or the supervisor is gone.
// Returns the process's exit status.
int run_role(const RoleFactory &make, io::UniqueFd supervisor);

}  // namespace mansio::process
