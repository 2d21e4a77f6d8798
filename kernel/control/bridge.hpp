// Bridge: what the control socket's sessions ask of the other processes. Each question is a stream of answers that a
// session takes at its own pace; the queue sends no faster than that (QueueCommandCredit).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernel/process/role.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::control {

// One question under way.
struct Question {
  explicit Question(asio::io_context &loop) : wake(loop) {}
  std::deque<std::string> lines;   // queue: whole JSON lines
  std::vector<wire::Stats> stats;  // supervisor, "stats"
  bool done = false;
  std::string error;  // with done
  std::string json;   // supervisor's answer
  std::uint64_t affected = 0;
  asio::steady_timer wake;

  Task<> change();  // until something new is there, or `done`
};

class Bridge {
 public:
  explicit Bridge(process::RoleContext &context) : context_(context) {}

  // `command.request` is chosen here. A question that cannot be asked comes back done, with the reason.
  std::shared_ptr<Question> ask_queue(wire::QueueCommand command);
  std::shared_ptr<Question> ask_supervisor(std::string verb, std::vector<std::string> arguments = {});
  void took_lines(const Question &question);  // one element of `lines` has been passed on

  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel);
  void queue_lost();
  void command_result(const wire::CommandResult &result);
  void peer_stats(const wire::Stats &stats);
  void close();

 private:
  using Questions = std::map<std::uint32_t, std::weak_ptr<Question>>;
  std::shared_ptr<Question> find(const Questions &in, std::uint32_t request);
  void on_queue(io::Message &m);
  static void finish(Question &q, std::string error);

  process::RoleContext &context_;
  std::shared_ptr<io::Channel> queue_;
  wire::Peer queue_peer_;
  Questions to_queue_, to_supervisor_;
  std::uint32_t next_ = 0;
};

}  // namespace mansio::control
