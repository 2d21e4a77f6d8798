// Supervisor: `mansio run`. It has the configuration checked, opens what needs rights, starts the processes in order,
// keeps them running, changes to a new configuration on SIGHUP and stops everything in order on SIGTERM.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/process/log_sinks.hpp"
#include "kernel/process/log_teller.hpp"
#include "kernel/supervisor/fleet.hpp"

namespace mansio::supervisor {

struct Options {
  std::string config = "/etc/mansio/mansio.toml";
  std::string spool;  // "" = as configured
};

// Exit statuses, as sysexits.h has them where it does.
inline constexpr int kExitConfig = 78, kExitFailed = 1;

class Supervisor {
 public:
  Supervisor(asio::io_context &loop, const Clock &clock, Launcher &launcher, Options options);
  ~Supervisor();

  Task<int> run();  // until told to stop; the exit status

  // What signals and the control socket ask for.
  void request_stop();  // again: hurry
  void request_reload();
  void reopen_log();

 private:
  using Reply = std::pair<std::uint32_t, std::uint32_t>;  // slot of the control process, its request
  struct StatsRound;
  struct CallRound;

  // start.cpp
  Task<Result<std::shared_ptr<Generation>>> load(std::uint32_t epoch);
  Result<void> open_log_output(const config::Plan &plan);
  Task<Result<void>> open_instance();
  Task<Result<void>> start_queue();
  std::vector<Post *> start_generation(const std::shared_ptr<const Generation> &generation);
  Task<Result<void>> all_ready(const std::vector<Post *> &posts);
  Task<> event(Nanos at_most);
  void wake() { wake_.cancel(); }
  void log_ready();

  // reload.cpp
  Task<> reload();
  Task<Result<void>> change_to_new();
  Task<> make_room(const config::Plan &plan);
  void switch_to(std::shared_ptr<Generation> next, const std::vector<Post *> &posts);

  // stop.cpp
  Task<> shut_down();
  Task<> drain_posts(bool (*which)(const Post &), Nanos until);

  // orders.cpp
  void on_message(Post &post, io::Message &m);
  void on_command(Post &post, const wire::Command &command);
  void on_stats(Post &post, const wire::Stats &stats);
  void gather_stats(Post &post, std::uint32_t request);
  void call_plugin(const wire::Command &command, Reply to);
  void on_called(const Post &post, wire::PluginCalled &&called);
  void end_call(const std::shared_ptr<CallRound> &round);
  void answer(Reply to, bool ok, std::string json);
  std::string processes_json();
  void want_log(const wire::LogWanted &order);
  void relay_log(std::string_view lines);  // an encoded LogLines, to the queue

  asio::io_context &loop_;
  const Clock &clock_;
  Launcher &launcher_;
  Options options_;
  std::unique_ptr<process::LogOutput> output_;
  process::LogTeller teller_;
  std::unique_ptr<process::ToldLog> told_;  // output_ and teller_
  bool log_wanted_ = false;
  std::uint64_t log_lost_ = 0;  // lines that the queue is yet to hear the number of
  std::string log_target_ = "stderr";
  io::UniqueFd log_fd_;
  Logger log_;
  asio::steady_timer wake_;
  Nanos born_ = 0;

  std::shared_ptr<Generation> current_;
  io::UniqueFd lock_;
  std::unique_ptr<process::SharedMemory> shared_;
  Listeners listeners_;
  std::unique_ptr<Fleet> fleet_;

  bool reload_wanted_ = false;
  std::vector<Reply> reload_replies_;
  int stop_requests_ = 0;
  std::uint32_t epochs_ = 0;
  std::uint32_t rounds_ = 0;
  std::vector<std::shared_ptr<StatsRound>> stats_;
  std::vector<std::shared_ptr<CallRound>> calls_;
};

// Raises the limit of open files to the hard limit, as root further if `wanted` needs it; returns the limit.
std::uint64_t raise_descriptor_limit(std::uint64_t wanted);

// The whole of `mansio run`: signals, loop, launcher.
int run_main(const Options &options, bool single, RoleMain main);

}  // namespace mansio::supervisor
