// What bounds deliveries, as the operator sets it: for a transport, for each of its destinations, other values for
// destinations that match a pattern, and rates by whose mail it is. Names and defaults are Postfix's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/scheduler/adaptive.hpp"
#include "kernel/scheduler/rate.hpp"
#include "kernel/scheduler/window.hpp"

namespace mansio::scheduler {

struct DestinationLimits {
  WindowLimits window = {};
  std::uint32_t recipient_limit = 50;  // recipients in one delivery; the queue's to keep
  // Each delivery begins so long after the last one there has ended, so one runs at a time.
  Nanos rate_delay = 0;
  RateLimit rate = {};           // of deliveries begun
  AdaptiveLimits adaptive = {};  // how push_back() slows it down
  // Who gives the places of `window.limit`, and those of `rate_delay`, as RateLimit::owner says it; 0: nobody.
  std::uint16_t concurrency_owner = 0, rate_delay_owner = 0;

  WindowLimits effective_window() const {
    auto w = window;
    if (rate_delay > 0) w.initial = w.limit = 1;
    return w;
  }
  bool operator==(const DestinationLimits &) const = default;
};

inline bool matches_any(const std::vector<std::string> &patterns, std::string_view name) {
  for (const auto &pattern : patterns) {
    if (name == pattern) return true;
    // ".example.com": a part of its own at the end; "@example.com": all addresses there.
    if ((pattern.starts_with('.') || pattern.starts_with('@')) && name.size() > pattern.size() &&
        name.ends_with(pattern))
      return true;
  }
  return false;
}

struct DestinationRule {
  // "example.com", ".example.com" (its subdomains), or a next hop as routes name it: "[192.0.2.1]:25". Lower case.
  std::vector<std::string> match;
  DestinationLimits limits;
  std::string site = {};  // those that match share these limits as one; "" = each by itself
  // Or "mx.example.com", ".example.com": destinations all of whose exchangers are among these hosts (site.hpp).
  std::vector<std::string> mx = {};
};

// How far messages with many deliveries let others go ahead: Postfix's slots. A message with at least
// `minimum * cost` deliveries on a transport is a list. Each delivery of a list earns a slot; what comes later than the
// list and is none itself goes ahead of it for `cost` slots. The price of `loan` such deliveries, and `discount`
// percent of one, may be owed, and are earned before the next goes. So a list takes at most (cost + 1) / cost as long
// for others' sake, and a single message that comes alone waits for at most `cost` of its deliveries.
struct SlotLimits {
  std::uint32_t cost = 5;  // below 2: strictly first come, first served
  std::uint32_t loan = 3;
  std::uint32_t discount = 50;
  std::uint32_t minimum = 3;

  bool is_list(std::uint64_t deliveries) const { return cost >= 2 && deliveries >= std::uint64_t{minimum} * cost; }
  bool operator==(const SlotLimits &) const = default;
};

struct TransportLimits {
  std::string name;
  std::uint32_t sessions = 100;  // leases at once over the whole transport
  // How long a transport may be without a process to run it before its mail counts as tried; 0: for ever.
  Nanos transport_retry_time = 60 * kSecond;
  Nanos rate_delay = 0;  // from the beginning of one delivery to that of the next
  RateLimit rate = {};
  SlotLimits slots = {};
  DestinationLimits destination = {};
  std::vector<DestinationRule> rules = {};  // the first that matches counts, instead of `destination`
  bool by_exchangers = false;               // destinations with the same exchangers share their limits: site.hpp
  std::uint16_t sessions_owner = 0, rate_delay_owner = 0;  // as those of a destination

  bool asks_exchangers() const {
    return by_exchangers || std::any_of(rules.begin(), rules.end(), [](const auto &rule) { return !rule.mx.empty(); });
  }
};

// Whose mail it is. Empty names are the mail of nobody in particular, which is a tenant like any other.
struct Party {
  std::string_view tenant = {}, campaign = {}, sender = {};
  std::string_view source_pool = {};  // that its deliveries leave from
  int priority = 0;                   // RFC 6710: -9 to 9
};

// A rate for each tenant, campaign, sender or source pool whose name matches (none given: every one); or for each such
// source pool at each destination, where it may limit deliveries at once as well.
struct RateRule {
  // Written down: fair_memory.cpp.
  enum class Key : std::uint8_t { Tenant, Campaign, Sender, SourcePool, SourcePoolDestination };
  static constexpr std::size_t kKeys = 4;  // of whose mail it is, wherever it goes: all but the last
  Key key = Key::Tenant;
  std::vector<std::string> match;
  RateLimit limit;
  // Of SourcePoolDestination alone: next hops or sites, as matches_any() has them (none: every one), and deliveries at
  // once (0: any number).
  std::vector<std::string> destinations = {};
  std::uint32_t concurrency = 0;

  bool matches(std::string_view name) const { return match.empty() ? !name.empty() : matches_any(match, name); }
  bool matches(std::string_view pool, std::string_view destination) const {
    return matches(pool) && (destinations.empty() || matches_any(destinations, destination));
  }
};

// As why() and the owners of rates know a limit of that key.
inline std::string_view rate_limit_name(RateRule::Key key) {
  constexpr std::string_view kNames[RateRule::kKeys + 1] = {"tenant_rate_limit", "campaign_rate_limit",
                                                            "sender_rate_limit", "source_pool_rate_limit",
                                                            "source_pool_destination_rate_limit"};
  return kNames[static_cast<std::size_t>(key)];
}

struct TenantWeight {
  std::string name;
  std::uint32_t weight = 1;
};

// A source pool that stands for others: what names it leaves from one of these, by weight.
struct SourceGroup {
  struct Pool {
    std::string name;
    std::uint32_t weight = 1;
    bool operator==(const Pool &) const = default;
  };
  std::string name;
  std::vector<Pool> pools;
  bool operator==(const SourceGroup &) const = default;
};

}  // namespace mansio::scheduler
