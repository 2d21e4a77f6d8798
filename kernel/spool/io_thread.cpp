#include "kernel/spool/io_thread.hpp"

namespace mansio::spool {

IoThread::IoThread(asio::io_context &loop, bool orphans, Turns *turns) : loop_(loop), orphans_(orphans), turns_(turns) {
  if (!turns_) thread_ = std::thread{[this] { this->loop(); }};
}

IoThread::~IoThread() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  wake_.notify_one();
  if (turns_)
    loop();
  else
    thread_.join();
  *alive_ = false;
}

void IoThread::run(std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::make_shared<Job>(Job{std::move(work), std::move(done)}));
  }
  wake_.notify_one();
  if (turns_)
    turns_->later([this, alive = alive_] {
      if (*alive) turn();
    });
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
    finish(std::move(job));
    lock.lock();
  }
}

void IoThread::finish(std::shared_ptr<Job> job) {
  job->work();
  asio::post(loop_, [alive = alive_, orphans = orphans_, job = std::move(job)] {
    if ((orphans || *alive) && job->done) job->done();
  });
}

void IoThread::turn() {
  auto job = std::move(jobs_.front());
  jobs_.pop_front();
  finish(std::move(job));
}

}  // namespace mansio::spool
