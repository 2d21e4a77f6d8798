// One thread for file calls that may block, in order. Work runs there; what follows from it runs on the loop.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "kernel/base/clock.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::spool {

// A test's: it says when what a thread would do is done, so that a run repeats exactly. No thread is started then.
class Turns {
 public:
  virtual ~Turns() = default;
  virtual void later(std::function<void()> task, Nanos after = 0) = 0;  // to run once, on the loop's thread
};

class IoThread {
 public:
  // `orphans`: whether `done` still runs on the loop when this object is gone.
  explicit IoThread(asio::io_context &loop, bool orphans = false, Turns *turns = nullptr);
  ~IoThread();  // work handed in is finished

  // Loop's thread. Both closures are destroyed on the loop, so they may own what belongs to it.
  void run(std::function<void()> work, std::function<void()> done);
  // From inside `work`: run on the loop, if this object still lives then.
  void tell(std::function<void()> what);

 private:
  struct Job {
    std::function<void()> work, done;
  };
  void loop();
  void finish(std::shared_ptr<Job> job);
  void turn();

  asio::io_context &loop_;
  const bool orphans_;
  Turns *const turns_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read on the loop only
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Job>> jobs_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace mansio::spool
