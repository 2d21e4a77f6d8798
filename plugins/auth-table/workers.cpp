#include "workers.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "password.hpp"

namespace mansio::auth_table {
namespace {

constexpr const char *kFirstModel = "$6$nobodyisnobodyis$";

}  // namespace

Workers::Workers(unsigned threads) : model_(kFirstModel) {
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

// An answer, so that a crowd of clients is not taken for a plugin that fails.
void Workers::give_up(mansio_op op) {
  const std::lock_guard lock{mutex_};
  const auto job = std::find_if(jobs_.begin(), jobs_.end(), [&](const Job &j) { return j.token.op().id == op.id; });
  if (job == jobs_.end()) return;
  job->token.complete(plugin::defer("no thread was free in time"));
  jobs_.erase(job);
}

void Workers::work() {
  for (;;) {
    std::unique_lock lock{mutex_};
    more_.wait(lock, [this] { return ending_ || !jobs_.empty(); });
    if (ending_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    try {
      job.token.complete(job.token.alive() ? judge(job) : plugin::defer("no time was left"));
    } catch (const std::exception &) {
      // No memory. The token says that there was no answer.
    }
  }
}

plugin::Reply Workers::judge(const Job &job) {
  bool compared = false, unusable = false;
  for (const auto &hash : job.stored) {  // any of them lets in
    const auto match = check_password(hash, job.password);
    if (match == Match::Yes || match == Match::No) {
      const std::lock_guard lock{mutex_};
      model_ = hash;
    }
    if (match == Match::Yes) return plugin::authenticated(job.user);
    compared = compared || match == Match::No;
    unusable = unusable || match == Match::Unusable;
  }
  if (compared) return plugin::wrong_credentials("wrong password");
  if (unusable) return plugin::defer("what the table has is no hash of crypt(5)");
  take_time(job.password);
  return plugin::wrong_credentials(job.stored.empty() ? "no such user" : "the user is locked");
}

// As much as the last user's password took, for one who is not there: names are not to be found out by the clock.
void Workers::take_time(const std::string &given) {
  std::unique_lock lock{mutex_};
  const auto model = model_;
  lock.unlock();
  check_password(model, given);
}

}  // namespace mansio::auth_table
