// What is said of and by the policies of the queue ([queue] policies): the facts that they are told, and what one of
// them decided. The router and the delivery processes ask them (kernel/host/queue_policies.hpp); the queue asks those,
// waits for nobody, and is told what they have decided in the messages that it gets from them anyway.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/status.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::wire {

// MANSIO_STAGE_* of sdk/include/mansio/draft/filter.h, which the queue does not include.
enum class QueueStage : std::uint32_t { Route = 12, PreDelivery = 13, Retry = 14, Bounce = 15 };
constexpr std::uint64_t bit_of(QueueStage stage) { return std::uint64_t{1} << static_cast<std::uint32_t>(stage); }
inline constexpr std::uint64_t kAllQueueStages = bit_of(QueueStage::Route) | bit_of(QueueStage::PreDelivery) |
                                                 bit_of(QueueStage::Retry) | bit_of(QueueStage::Bounce);

// Of a message, for policies. Empty where none is asked.
struct MailFacts {
  std::string client_address, client_name, helo, protocol, listener, auth_user;
  std::string tenant, campaign, source_pool;
  std::uint8_t priority = 0;
  std::uint64_t size = 0;  // octets
  Nanos arrival = 0;       // wall
  std::vector<std::pair<std::string, std::string>> metadata;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.client_address, s.client_name, s.helo, s.protocol, s.listener, s.auth_user, s.tenant, s.campaign, s.source_pool,
      s.priority, s.size, s.arrival, s.metadata);
  }
};

enum class PolicyAction : std::uint8_t { None, Defer, Fail, Hold, Discard, Route, Redirect };

// What was decided; None: it goes as it would without policies.
struct PolicyWord {
  PolicyAction action = PolicyAction::None;
  std::string policy;       // who: "policy.quota"
  EnhancedStatus enhanced;  // of Defer and Fail; empty: none was given
  std::string text;         // the same; of Hold and Discard the reason; may be empty
  Nanos retry = 0;          // of Defer: from now; 0: it did not say
  Route route;              // no transport: the one that it has; no next hop beside none: that, too
  std::string source_pool;  // of Route; "": as it is
  std::string address;      // of Redirect
  bool failed = false;      // nobody has decided: this is on_failure's word, and `text` how the policy failed
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.action, s.policy, s.enhanced, s.text, s.retry, s.route, s.source_pool, s.address, s.failed);
  }
};

// router -> queue, when it is attached and when it changes: which stages some policy wants to see. While a policy has
// not said so, all.
struct PolicyStages {
  static constexpr std::uint16_t kType = 148;
  std::uint64_t stages = 0;  // bit_of()
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.stages);
  }
};

}  // namespace mansio::wire
