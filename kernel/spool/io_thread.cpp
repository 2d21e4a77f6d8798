#include "kernel/spool/io_thread.hpp"

namespace mansio::spool {

IoThread::IoThread(asio::io_context &loop, bool orphans)
    : loop_(loop), orphans_(orphans), thread_([this] { this->loop(); }) {}

IoThread::~IoThread() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
  *alive_ = false;
}

void IoThread::run(std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::make_shared<Job>(Job{std::move(work), std::move(done)}));
  }
  wake_.notify_one();
}

void IoThread::tell(std::function<void()> what) {
  asio::post(loop_, [alive = alive_, what = std::move(what)] {
    if (*alive) what();
  });
}

void IoThread::loop() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job->work();
    asio::post(loop_, [alive = alive_, orphans = orphans_, job = std::move(job)] {
      if ((orphans || *alive) && job->done) job->done();
    });
    lock.lock();
  }
}

}  // namespace mansio::spool
