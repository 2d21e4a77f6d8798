#include "plugins/lua/io/sqlite_worker.hpp"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <coroutine>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>

#include "plugins/lua/budget.hpp"
#include "plugins/lua/io/sqlite_database.hpp"

namespace mansio::lua {

class SqliteWorker::Awaiter final : plugin::Waiter {
 public:
  Awaiter(SqliteWorker &worker, SqliteQuery query, plugin::Cancel &cancel)
      : worker_(worker), job_(std::make_shared<Job>()), cancel_(cancel) {
    job_->query = std::move(query);
  }
  Awaiter(const Awaiter &) = delete;
  Awaiter &operator=(const Awaiter &) = delete;

  bool await_ready() const { return cancel_.requested(); }
  void await_suspend(std::coroutine_handle<> h) {
    worker_.begin(job_);
    job_->waiter = this;
    waiting_ = h;
    cancel_.waits(this);
    // The thread looks at the clock itself, but may be at another statement.
    timer_ = worker_.host_.timer(
        std::max<std::int64_t>(job_->query.deadline - steady_ns(), 1),
        [](void *awaiter) {
          auto &self = *static_cast<Awaiter *>(awaiter);
          self.timer_ = 0;
          self.late_ = true;
          self.give_up();
        },
        this);
  }
  SqliteRows await_resume() {
    if (!cancel_.requested() && !late_) return std::move(job_->rows);
    SqliteRows none;  // the thread may still be at the job's
    none.late = late_;
    none.why = late_ ? "it took more than its time" : "cancelled";
    return none;
  }
  void over() {
    if (timer_ != 0) worker_.host_.cancel_timer(std::exchange(timer_, 0));
    cancel_.done();
    std::exchange(waiting_, nullptr).resume();  // destroys *this
  }

 private:
  void cancelled() override { give_up(); }
  void give_up() {
    job_->waiter = nullptr;
    job_->stopped = true;
    over();
  }

  SqliteWorker &worker_;
  std::shared_ptr<Job> job_;
  plugin::Cancel &cancel_;
  std::uint64_t timer_ = 0;
  bool late_ = false;
  std::coroutine_handle<> waiting_;
};

SqliteWorker::SqliteWorker(const plugin::Host &host) : host_(host), done_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (done_fd_ < 0) throw std::runtime_error{std::string{"no descriptor for SQLite: "} + std::strerror(errno)};
}

SqliteWorker::~SqliteWorker() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    waiting_.clear();
    if (running_) running_->stopped = true;
  }
  ready_.notify_one();
  if (thread_.joinable()) thread_.join();
  host_.forget(done_fd_);
  ::close(done_fd_);
}

plugin::Task<SqliteRows> SqliteWorker::run(SqliteQuery query, plugin::Cancel &cancel) {
  Awaiter awaiter{*this, std::move(query), cancel};
  auto rows = co_await awaiter;
  co_return rows;
}

void SqliteWorker::begin(std::shared_ptr<Job> job) {
  if (!thread_.joinable()) {
    // The process's signals are for its own thread.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread{[this] { work(); }};
    } catch (const std::exception &) {
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(job));
  }
  ready_.notify_one();
  if (under_way_++ == 0) listen();
}

// [the thread]
void SqliteWorker::work() {
  SqliteDatabases databases;
  std::unique_lock lock{mutex_};
  while (true) {
    ready_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    running_ = std::move(waiting_.front());
    waiting_.pop_front();
    const auto job = running_;
    lock.unlock();
    try {
      databases.run(job->query, job->stopped, job->rows);
    } catch (const std::exception &e) {
      job->rows.why = e.what();
    }
    lock.lock();
    running_.reset();
    done_.push_back(job);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(done_fd_, &one, sizeof one);
  }
}

void SqliteWorker::listen() {
  host_.watch(
      done_fd_, MANSIO_READABLE, [](void *arg, int) { static_cast<SqliteWorker *>(arg)->finish(); }, this);
}

void SqliteWorker::finish() {
  std::uint64_t ignored = 0;
  [[maybe_unused]] const auto n = ::read(done_fd_, &ignored, sizeof ignored);
  Jobs done;
  {
    const std::lock_guard lock{mutex_};
    done.swap(done_);
  }
  under_way_ -= done.size();
  if (under_way_ != 0) listen();
  for (const auto &job : done)
    if (auto *const waiter = std::exchange(job->waiter, nullptr)) waiter->over();
}

}  // namespace mansio::lua
