// RemoteAuth: an auth plugin that runs in a host process of its own, as an ingress process sees it. What was under way
// when that process went has failed; while there is none, every step fails at once, and its client tries again. What
// the plugin offers stays known meanwhile, so that AUTH does not come and go in EHLO. See remote.hpp for lookups.
#pragma once

#include <memory>
#include <string>

#include "kernel/host/auth.hpp"
#include "kernel/host/remote_calls.hpp"

namespace mansio::host {

class RemoteAuth final : public AuthInstance {
 public:
  RemoteAuth(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit);
  // A channel not started yet; it takes the place of an earlier one.
  void attach(std::shared_ptr<io::Channel> channel);

  std::string mechanisms(bool clear) const override { return clear ? clear_ : secure_; }
  std::uint64_t exchange() override { return ++last_exchange_; }
  void start(wire::AuthCall call, Done done) override;
  void forget(std::uint64_t exchange) override;
  std::size_t in_flight() const override { return calls_.size(); }
  std::uint64_t misbehaviours() const override { return 0; }
  void stats(const StatsSink &add) const override;

 private:
  void receive(io::Message &m);

  const std::string name_;
  std::string clear_, secure_;
  std::uint64_t last_exchange_ = 0;
  RemoteCalls<wire::AuthResult, Done> calls_;
};

}  // namespace mansio::host
