#include "plugins/auth-table/workers.hpp"

#include <utility>

#include "plugins/auth-table/password.hpp"

namespace mansio::auth_table {
namespace {

plugin::Reply judge(const Job &job) {
  if (job.stored.empty()) {
    check_nothing(job.password);
    return plugin::wrong_credentials("no such user");
  }
  bool usable = false;
  for (const auto &hash : job.stored) {  // any of them lets in
    const auto match = check_password(hash, job.password);
    if (match == Match::Yes) return plugin::authenticated(job.user);
    usable = usable || match == Match::No;
  }
  if (usable) return plugin::wrong_credentials("wrong password");
  return plugin::defer("what the table has is no hash of crypt(5)");
}

}  // namespace

Workers::Workers(unsigned threads) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock{mutex_};
    ending_ = true;
  }
  more_.notify_all();
  for (auto &thread : threads_) thread.join();
}

void Workers::add(Job job) {
  {
    const std::lock_guard lock{mutex_};
    jobs_.push_back(std::move(job));
  }
  more_.notify_one();
}

void Workers::work() {
  for (;;) {
    std::unique_lock lock{mutex_};
    more_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (ending_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    if (job.token.alive())
      job.token.complete(judge(job));
    else
      job.token.complete(plugin::defer("no time was left"));
  }
}

}  // namespace mansio::auth_table
