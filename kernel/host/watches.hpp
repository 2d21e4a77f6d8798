// Watches: one-shot readiness of descriptors that belong to somebody else (a plugin), over Asio. Single-threaded.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <unordered_map>

#include "kernel/io/asio.hpp"

namespace mansio::host {

class Watches {
 public:
  static constexpr int kReadable = 1, kWritable = 2;
  using Ready = std::function<void(int events)>;

  explicit Watches(asio::io_context &loop) : loop_(loop) {}
  ~Watches();

  // False: the descriptor cannot be watched, or that direction is watched already.
  bool watch(int fd, int events, Ready ready);
  void forget(int fd);  // before it is closed; what is pending will not run

 private:
  // One call of watch(): it serves one or both directions and is used up by the first that is ready.
  struct Direction {
    std::shared_ptr<Ready> ready;
    bool waiting = false;  // an async_wait is under way, perhaps for an earlier call
  };
  struct Entry {
    Entry(asio::io_context &loop, int fd) : descriptor(loop, fd) {}
    asio::posix::stream_descriptor descriptor;
    std::array<Direction, 2> directions;
    bool open = true;
  };
  static void wait(const std::shared_ptr<Entry> &entry, std::size_t which);

  asio::io_context &loop_;
  std::unordered_map<int, std::shared_ptr<Entry>> entries_;
};

}  // namespace mansio::host
