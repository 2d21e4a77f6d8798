// Operations: the table of what a plugin instance has under way, and the inbox of what it says about it.
//
// An operation is a slot and its generation, so that a stale handle is recognised and never dangles. The plugin may
// ask about an operation, read its message and answer from any thread, which is why this table, alone in the process,
// has a lock; it is held for a few instructions and never while anything is called.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "kernel/base/id.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/host/reply.hpp"

namespace mansio::host {

class StageWork;

struct Operation {
  std::uint64_t lease = 0;  // of a delivery
  MessageId message;
  std::size_t recipients = 0;
  std::vector<bool> reported;
  bool site_failure = false;
  std::function<void(Answer &&)> done;  // of a lookup or filter
  Nanos time_limit = 0, latest = 0;     // what progress gives anew, and until when (monotonic); 0: nothing
  std::function<void()> progressed;     // runs when it does
  bool command = false;                 // an operator's: the kind's cancel() knows nothing of it
  std::uint64_t timer = 0;              // its deadline
  Nanos started = 0;
};

class Operations {
 public:
  std::uint64_t open(Operation operation, std::shared_ptr<const MessageSource> source,
                     std::shared_ptr<StageWork> work = nullptr);
  void close(std::uint64_t op);          // its number is stale from now on
  void no_more_alive(std::uint64_t op);  // cancelled: alive() is false, answers still count

  // On the loop's thread; null when `op` is stale. Valid until the next open().
  Operation *find(std::uint64_t op);
  std::size_t size() const { return size_; }
  std::vector<std::uint64_t> all() const;
  Operation take(std::uint64_t op);  // and close it

  // From any thread.
  bool alive(std::uint64_t op) const;
  std::optional<MessageId> message(std::uint64_t op) const;
  std::shared_ptr<const MessageSource> source(std::uint64_t op) const;  // null when stale
  std::shared_ptr<StageWork> work(std::uint64_t op) const;              // the same, and when it has none

 private:
  struct Slot {
    std::uint32_t generation = 0;
    bool open = false, alive = false;
    Operation operation;
    std::shared_ptr<const MessageSource> source;
    std::shared_ptr<StageWork> work;
  };
  const Slot *slot(std::uint64_t op) const;

  mutable std::mutex mutex_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t size_ = 0;
};

// Work handed to the loop from other threads: one wake-up for as much as gathers until it runs.
class Inbox {
 public:
  explicit Inbox(asio::io_context &loop) : loop_(loop) {}
  void put(std::function<void()> work);  // any thread
  void close();                          // drops what is left; nothing runs any more

 private:
  struct State {
    std::mutex mutex;
    std::vector<std::function<void()>> work;
    bool closed = false;
  };
  asio::io_context &loop_;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace mansio::host
