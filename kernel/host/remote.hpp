// A plugin that runs in a host process of its own, as the process that uses it sees it. The channel comes and goes with
// that process; what was under way when it went fails then. While there is none a lookup fails at once, and a delivery
// waits for a moment, since a process is soon started again and a deferred message would wait much longer. So a plugin
// that crashes, hangs or is kept from starting by its breaker costs its users nothing but the answer.
//
// Single-threaded, on the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/host/lookup.hpp"
#include "kernel/host/metrics.hpp"
#include "kernel/host/remote_calls.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/wire/host_messages.hpp"

namespace mansio::host {

class RemoteLookup final : public LookupInstance {
 public:
  RemoteLookup(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit,
               bool stays_awake = true);
  // A channel not started yet; it takes the place of an earlier one.
  void attach(std::shared_ptr<io::Channel> channel);

  void lookup(std::string_view key, Nanos time_limit, Done done) override;
  std::size_t in_flight() const override { return calls_.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &add) const override;

 private:
  void receive(io::Message &m);

  const std::string name_;
  RemoteCalls<io::TableAnswer, Done> calls_;
};

class RemoteTransport final : public TransportInstance {
 public:
  RemoteTransport(asio::io_context &loop, const Clock &clock, Logger &log, std::string name, Events events);
  ~RemoteTransport() override;
  void attach(std::shared_ptr<io::Channel> channel, std::int32_t pid);  // of the process at its other end

  void start(const wire::Lease &lease, MessageSource message) override;
  void cancel(std::uint64_t lease) override;
  std::size_t in_flight() const override { return pending_.size() + waiting_.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &add) const override;

 private:
  struct Waiting {
    wire::Lease lease;
    MessageSource message;
    std::uint64_t timer;
  };
  struct Pending {
    std::uint64_t timer = 0;
    Nanos started = 0;
    std::vector<bool> reported;
  };
  void receive(io::Message &m);
  void refuse(std::uint64_t lease, std::string why);
  void fail_all();
  void end(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure, const std::string &destination);

  const Clock &clock_;
  Logger &log_;
  const std::string name_;
  Events events_;
  Timers timers_;
  std::shared_ptr<io::Channel> channel_;
  std::int32_t pid_ = 0;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::unordered_map<std::uint64_t, Waiting> waiting_;  // for a process
  Metrics metrics_;
};

// A copy of the message that nobody can change, with nothing else in it.
Result<io::UniqueFd> sealed_message(const MessageSource &message);

}  // namespace mansio::host
