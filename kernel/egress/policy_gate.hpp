// PolicyGate: a transport before which policies are asked whether a delivery may begin now ([queue] policies, stage
// PRE_DELIVERY). It stands before everything else that a lease meets here; where there are no such policies it is not
// there, and a lease whose message nobody wants to see goes through it at once.
//
// A delivery that waits for a policy has its lease, so that the limits of its destination hold and the queue knows
// where it is; what a policy decides goes back as the outcome of that lease, and counts once the queue has journaled
// it. A lease that is cancelled meanwhile is given back as one that did not begin.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/host/queue_policies.hpp"
#include "kernel/host/transport.hpp"

namespace mansio::egress {

class PolicyGate final : public host::TransportInstance {
 public:
  using TurnAway = std::function<void(std::uint64_t lease, const wire::PolicyWord &word)>;

  // `inner` delivers, and reports as it was made to. `turn_away` is the last word on a lease that does not come to it.
  PolicyGate(const Clock &clock, std::string transport, std::unique_ptr<host::QueuePolicies> policies,
             std::unique_ptr<host::TransportInstance> inner, TurnAway turn_away);
  // As QueuePolicies has it.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);

  void start(const wire::Lease &lease, host::MessageSource message) override;
  void cancel(std::uint64_t lease) override;
  std::size_t in_flight() const override { return waiting_.size() + inner_->in_flight(); }
  std::uint64_t misbehaviours() const override { return inner_->misbehaviours(); }
  void stats(const host::StatsSink &add) const override;

 private:
  struct Waiting {
    wire::Lease lease;
    host::MessageSource message;
  };
  void decided(std::uint64_t lease, wire::PolicyWord &&word);
  bool is_its_way(const wire::Lease &lease, const wire::PolicyWord &word) const;

  const Clock &clock_;
  const std::string name_;
  std::unique_ptr<host::TransportInstance> inner_;
  TurnAway turn_away_;
  std::map<std::uint64_t, Waiting> waiting_;       // by lease
  std::unique_ptr<host::QueuePolicies> policies_;  // last: what it was asked nobody hears of any more
};

}  // namespace mansio::egress
