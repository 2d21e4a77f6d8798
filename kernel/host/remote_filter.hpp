// RemoteFilter: a filter or policy that runs in a host process of its own, as those who ask it see it. What was
// under way when that process went has failed. For a moment after, stages wait for its successor: it is soon there, and
// a filter that is skipped when it fails should not be skipped for a restart. After that they fail at once, so an open
// breaker costs nobody time. See remote.hpp for lookups and transports.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "kernel/host/filter.hpp"
#include "kernel/host/metrics.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/io/awake.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

class RemoteFilter final : public FilterInstance {
 public:
  // `label`: "filter" or "policy".
  RemoteFilter(asio::io_context &loop, const Clock &clock, const char *label, std::string name,
               std::size_t in_flight_limit);
  ~RemoteFilter() override;
  // A channel not started yet; it takes the place of an earlier one.
  void attach(std::shared_ptr<io::Channel> channel);
  // `told` runs when its process has said which stages it wants to see.
  void on_stages(std::function<void()> told) { told_ = std::move(told); }

  std::uint64_t stages() const override { return stages_; }
  std::uint32_t incarnation() const override { return incarnation_; }
  std::uint64_t start(wire::StageCall call, std::shared_ptr<const FilterContent> content, Done done,
                      std::function<void()> progressed) override;
  void cancel(std::uint64_t number) override;
  void abort(const std::string &session, MessageId id) override;
  std::size_t in_flight() const override { return pending_.size() + waiting_.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &add) const override;

 private:
  struct Waiting {  // for a process
    wire::StageCall call;
    std::shared_ptr<const FilterContent> content;
    Done done;
    std::uint64_t timer;
  };
  struct Pending {
    Done done;
    std::uint64_t timer = 0;
    Nanos started = 0, time_limit = 0, latest = 0;
    std::uint32_t stage = 0;
  };
  void send(wire::StageCall call, const std::shared_ptr<const FilterContent> &content, Done done);
  void receive(io::Message &m);
  void unreadable();
  void lost();
  void fail_all(const char *why);
  void arm(std::uint64_t number, Pending &pending, Nanos within);
  void end(std::uint64_t number, wire::StageResult &&result);
  void refuse(const Done &done, std::string why);

  const Clock &clock_;
  const char *const label_;
  const bool filter_;  // else it is a policy
  const std::string name_;
  const std::size_t limit_;
  Timers timers_;
  io::Awake awake_;
  std::shared_ptr<io::Channel> channel_;
  std::uint64_t stages_ = ~std::uint64_t{0};
  std::function<void()> told_;
  std::uint32_t incarnation_ = 0;
  Nanos awaited_until_ = 0;  // mono: how long a successor is waited for
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;
  std::uint64_t last_ = 0;
  Metrics metrics_;
};

}  // namespace mansio::host
