// Running: which plugin's code the loop of this process is in, for those who look on when it does not return. Written
// by the loop's thread, read by the watchdog's; the name is that of an instance, which is there while its code runs,
// and who reads where it is sees what was written there.
//
// The supervisor sees it too, after the process's death, in the shared memory. There the last word is that of the
// thread that ends the process, where it can have one, by a signal such as SIGSEGV or SIGABRT or by exit(): a blocking
// plugin's thread may be in other code than the loop, and a thread that a plugin made itself is in nobody's that we
// know. Where it cannot (_exit(), a stack that overflows, SIGKILL) what the loop was in stands.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "kernel/process/role.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::host {

class Running {
 public:
  struct Code {
    std::string name;            // "lookup people"
    std::uint64_t instance = 0;  // SharedMemory::instance_tag()
  };

  Running() = default;
  ~Running();
  Running(const Running &) = delete;
  Running &operator=(const Running &) = delete;

  // From now on the supervisor sees it. `context` outlives this.
  void show(const process::RoleContext &context) { show(context.shared, context.start.slot, !context.start.threaded); }
  // `last_words`: the process is this role's alone, and has one of these.
  void show(process::SharedMemory &shared, std::uint32_t slot, bool last_words);

  const Code *who() const { return who_.load(std::memory_order_acquire); }  // null: no plugin's
  // By the thread that is to end the process because the loop does not return from there.
  void hangs() const;

  // From here to the end of the scope it is that one's. `running` null: nobody looks on.
  class Scope {
   public:
    Scope(Running *running, const Code &code) : running_(running) {
      if (running_) outer_ = running_->enter(&code);
    }
    ~Scope() {
      if (running_) running_->enter(outer_);
    }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

   private:
    Running *running_;
    const Code *outer_ = nullptr;
  };
  // The same of this thread, which is not the loop's.
  class ThreadScope {
   public:
    explicit ThreadScope(const Code &code);
    ~ThreadScope();
    ThreadScope(const ThreadScope &) = delete;
    ThreadScope &operator=(const ThreadScope &) = delete;
  };

 private:
  const Code *enter(const Code *code);  // null: of no plugin; what it was in before

  std::atomic<const Code *> who_{nullptr};
  process::SharedMemory *shared_ = nullptr;  // null: nobody else sees it
  std::uint32_t slot_ = 0;
  bool last_words_ = false;
};

}  // namespace mansio::host
