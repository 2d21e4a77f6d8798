// A few threads that take jobs in order: fsync blocks, and the loop must not.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace maildir {

class Pool {
 public:
  explicit Pool(unsigned threads);
  ~Pool();  // ends the jobs under way, drops those that wait
  void run(std::function<void()> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> jobs_;
  bool stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace maildir
