// Running: which plugin's code the loop of this process is in, for those who look on when it does not return. Written
// by the loop's thread, read by the watchdog's; the name is that of an instance, which is there while its code runs,
// and who reads where it is sees what was written there.
#pragma once

#include <atomic>
#include <string>

namespace mansio::host {

class Running {
 public:
  // "lookup people"; null: no plugin's.
  const std::string *who() const { return who_.load(std::memory_order_acquire); }

  // From here to the end of the scope it is that one's. `running` null: nobody looks on.
  class Scope {
   public:
    Scope(Running *running, const std::string &who) : running_(running) {
      if (!running_) return;
      outer_ = running_->who();
      running_->who_.store(&who, std::memory_order_release);
    }
    ~Scope() {
      if (running_) running_->who_.store(outer_, std::memory_order_release);
    }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;

   private:
    Running *running_;
    const std::string *outer_ = nullptr;
  };

 private:
  std::atomic<const std::string *> who_{nullptr};
};

}  // namespace mansio::host
