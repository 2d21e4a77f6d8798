// Awake keeps a loop from going to sleep for a moment in which something is to come: the answer of a plugin in a
// process of its own, or the next question to one. To sleep and to be woken takes longer than most such answers, on a
// virtual machine several times as long. Meanwhile the loop does all its other work, and offers its processor to other
// processes each time it finds none; where nothing comes in time, as from a plugin that asks a server, it soon stops
// trying for a while.
//
// Single-threaded, on the loop.
#pragma once

#include <chrono>
#include <memory>

#include "kernel/io/asio.hpp"

namespace mansio::io {

class Awake {
 public:
  explicit Awake(asio::io_context &loop);
  ~Awake();  // what is expected then comes to nothing
  Awake(const Awake &) = delete;
  Awake &operator=(const Awake &) = delete;

  void expect();    // again: the moment begins anew
  void has_come();  // nothing more is expected
  bool expecting() const;

 private:
  struct State;
  static void look(const std::shared_ptr<State> &state);

  const std::shared_ptr<State> state_;
};

}  // namespace mansio::io
