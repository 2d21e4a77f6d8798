// Pool: the threads on which a blocking plugin's start() runs. They are made when there is work for them, never more
// than the limit, and stay. What they run may block for as long as it likes; what waits behind it is not lost: it can
// be taken back.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mansio::host {

class Pool {
 public:
  explicit Pool(std::size_t threads) : limit_(threads) {}
  ~Pool() { stop(); }
  Pool(const Pool &) = delete;
  Pool &operator=(const Pool &) = delete;

  void run(std::uint64_t op, std::function<void()> job);
  bool take_back(std::uint64_t op);  // true: it will not run
  void stop();                       // what waits is dropped, what runs is waited for

 private:
  struct Job {
    std::uint64_t op;
    std::function<void()> run;
  };
  void work();

  const std::size_t limit_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Job> jobs_;
  std::vector<std::thread> threads_;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

}  // namespace mansio::host
