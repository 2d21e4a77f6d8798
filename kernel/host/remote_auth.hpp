// RemoteAuth: an auth plugin that runs in a host process of its own, as an ingress process sees it. What was under way
// when that process went has failed; while there is none, every step fails at once, and its client tries again. What
// the plugin offers stays known meanwhile, so that AUTH does not come and go in EHLO. See remote.hpp for lookups.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "kernel/host/auth.hpp"
#include "kernel/host/metrics.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

class RemoteAuth final : public AuthInstance {
 public:
  RemoteAuth(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit);
  ~RemoteAuth() override;
  // A channel not started yet; it takes the place of an earlier one.
  void attach(std::shared_ptr<io::Channel> channel);

  std::string mechanisms(bool clear) const override { return clear ? clear_ : secure_; }
  std::uint64_t exchange() override { return ++last_exchange_; }
  void start(wire::AuthCall call, Done done) override;
  void forget(std::uint64_t exchange) override;
  std::size_t in_flight() const override { return pending_.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &add) const override;

 private:
  struct Pending {
    Done done;
    std::uint64_t timer;
    Nanos started;
  };
  void receive(io::Message &m);
  void lost(const char *why);
  void end(std::uint64_t number, wire::AuthResult &&result);

  const Clock &clock_;
  const std::string name_;
  const std::size_t limit_;
  Timers timers_;
  std::shared_ptr<io::Channel> channel_;
  std::string clear_, secure_;
  std::unordered_map<std::uint64_t, Pending> pending_;
  std::uint64_t last_ = 0, last_exchange_ = 0;
  Metrics metrics_;
};

}  // namespace mansio::host
