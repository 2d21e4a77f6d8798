#include "kernel/host/pool.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace mansio::host {

void Pool::run(std::uint64_t op, std::function<void()> job) {
  const std::lock_guard lock{mutex_};
  jobs_.push_back({op, std::move(job)});
  if (jobs_.size() > idle_ && threads_.size() < limit_) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error &) {
      if (threads_.empty()) throw;  // with fewer of them it only takes longer
    }
  }
  ready_.notify_one();
}

bool Pool::take_back(std::uint64_t op) {
  const std::lock_guard lock{mutex_};
  return std::erase_if(jobs_, [op](const Job &job) { return job.op == op; }) > 0;
}

void Pool::stop() {
  std::deque<Job> dropped;
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    dropped.swap(jobs_);
  }
  ready_.notify_all();
  for (auto &thread : threads_) thread.join();
  threads_.clear();
}

void Pool::work() {
  std::unique_lock lock{mutex_};
  while (true) {
    ++idle_;
    ready_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    --idle_;
    if (stopping_) return;
    {
      const auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job.run();
    }
    lock.lock();
  }
}

}  // namespace mansio::host
