// The threads that call a plugin which may block (MANSIO_BLOCKING), as a host has them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace mansio::testing {

class FakePool {
 public:
  explicit FakePool(std::size_t threads) : limit_(threads) {}
  ~FakePool() { stop(); }
  FakePool(const FakePool &) = delete;
  FakePool &operator=(const FakePool &) = delete;

  void run(std::function<void()> job) {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
    if (idle_ < jobs_.size() && threads_.size() < limit_) threads_.emplace_back([this] { work(); });
    ready_.notify_one();
  }
  void stop() {  // what waits is dropped, what runs is awaited
    {
      const std::lock_guard lock{mutex_};
      stopping_ = true;
      jobs_.clear();
    }
    ready_.notify_all();
    for (auto &thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void work() {
    std::unique_lock lock{mutex_};
    while (true) {
      ++idle_;
      ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      --idle_;
      if (stopping_) return;
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  std::size_t limit_, idle_ = 0;
  bool stopping_ = false;
};

}  // namespace mansio::testing
