// RemoteCalls: what a process asks a plugin in a process of its own, over the channel to that process. Each call ends
// once: with its answer, at its time limit, or when the process is gone. Single-threaded, on the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/host/metrics.hpp"
#include "kernel/host/patience.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/io/awake.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

template <class Answered, class Done>
class RemoteCalls {
 public:
  // `failure`: the answer in the place of one that does not come; `failed`: is this one? `stays_awake`: see io::Awake.
  RemoteCalls(asio::io_context &loop, const Clock &clock, std::size_t limit, Answered (*failure)(std::string why),
              bool (*failed)(const Answered &), bool stays_awake = true)
      : clock_(clock),
        limit_(limit),
        failure_(failure),
        failed_(failed),
        stays_awake_(stays_awake),
        timers_(loop),
        awake_(loop) {}
  ~RemoteCalls() {
    if (channel_) channel_->close();
  }
  RemoteCalls(const RemoteCalls &) = delete;
  RemoteCalls &operator=(const RemoteCalls &) = delete;

  // A channel not started yet; it takes the place of an earlier one. `receive` calls end().
  void attach(std::shared_ptr<io::Channel> channel, std::function<void(io::Message &)> receive) {
    if (channel_) channel_->close();
    lost("its process was replaced");
    channel_ = std::move(channel);
    channel_->expect_one_by_one();
    channel_->start(std::move(receive), [this, which = channel_.get()](std::string_view) {
      if (channel_.get() == which) lost("its process ended");
    });
  }

  // Gives the call its number. `at_limit` runs when nobody waits for the answer any more.
  template <class Call>
  void start(Call call, Done done, std::function<void()> at_limit = nullptr) {
    const auto number = call.number = ++last_;
    if (!channel_) return refuse(done, "its process is not there");
    if (calls_.size() >= limit_ || !channel_->send(call)) return refuse(done, "it has too much to do");
    ++metrics_.host.operations;
    const auto timer = timers_.add(call.time_limit + kGrace, [this, number, at_limit = std::move(at_limit)] {
      ++metrics_.host.timed_out;
      if (at_limit) at_limit();
      end(number, failure_("time limit exceeded"));
    });
    calls_.emplace(number, Waiting{std::move(done), timer, clock_.mono()});
    if (calls_.size() == 1 && stays_awake_) awake_.expect();  // with more of them under way there is work meanwhile
  }
  template <class M>
  void tell(const M &message) {
    if (channel_) channel_->send(message);
  }
  void end(std::uint64_t number, Answered answer) {
    auto node = calls_.extract(number);
    if (node.empty()) {
      ++metrics_.host.late;
      return;
    }
    awake_.has_come();
    timers_.cancel(node.mapped().timer);
    metrics_.host.busy += clock_.mono() - node.mapped().started;
    if (failed_(answer)) ++metrics_.host.failed;
    node.mapped().done(std::move(answer));
  }

  std::size_t size() const { return calls_.size(); }
  void stats(const std::string &labels, const StatsSink &add) const { metrics_.stats(labels, calls_.size(), add); }

 private:
  struct Waiting {
    Done done;
    std::uint64_t timer;
    Nanos started;
  };
  void refuse(const Done &done, const char *why) {
    ++metrics_.host.refused;
    done(failure_(why));
  }
  void lost(const char *why) {
    channel_ = nullptr;
    std::vector<std::uint64_t> all;
    all.reserve(calls_.size());
    for (const auto &[number, waiting] : calls_) all.push_back(number);
    for (const auto number : all) end(number, failure_(why));
  }

  const Clock &clock_;
  const std::size_t limit_;
  Answered (*const failure_)(std::string why);
  bool (*const failed_)(const Answered &);
  const bool stays_awake_;
  Timers timers_;
  io::Awake awake_;
  std::shared_ptr<io::Channel> channel_;
  std::unordered_map<std::uint64_t, Waiting> calls_;
  std::uint64_t last_ = 0;
  Metrics metrics_;
};

}  // namespace mansio::host
