// Run: one command at work on the host's loop. It is fed the content as it takes it, what it prints is kept up to a
// limit, and it ends by itself, at its time limit, or with stop(). Whoever stops it kills its process group first and
// closes its input after that: a command must never take the part of a message that it got for the whole.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "mansio/plugin.hpp"
#include "plugins/pipe-common/process.hpp"
#include "plugins/transport-pipe/content.hpp"

namespace mansio::pipe {

struct Ended {
  enum class How { ByItself, TimeLimit, Stopped, Unreadable };  // Unreadable: the message, or so it seems
  How how = How::ByItself;
  int wait_status = 0;
  std::string output;  // the beginning of it
};

class Run {
 public:
  // Calls `done` once, on the loop; it may destroy the Run.
  Run(const plugin::Host &host, Process process, Content content, std::int64_t time_limit,
      std::function<void(Ended)> done);
  ~Run();  // kills what still runs
  Run(const Run &) = delete;
  Run &operator=(const Run &) = delete;

  void stop() { kill(Ended::How::Stopped); }

  const plugin::Host &host() const { return host_; }  // for exceptions of callbacks

 private:
  void feed(int events);
  void listen(int events);
  void over(int events);
  void out_of_time();
  void take_output();
  void kill(Ended::How how);
  void close(Fd &fd);

  plugin::Host host_;
  Process process_;
  Content content_;
  std::function<void(Ended)> done_;
  std::string piece_;  // of the content, not taken yet
  bool content_ends_ = false;
  Ended ended_;
  std::uint64_t timer_ = 0;
};

}  // namespace mansio::pipe
