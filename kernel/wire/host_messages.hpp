// Messages between a process that uses a plugin and the host process that runs it (kernel/host). Types 165..174.
//
// Deliveries: the client sends the Lease it holds itself with one descriptor, a sealed memfd of the message (so a
// plugin sees one message and no segment). Nothing here is acknowledged: when either process dies, the channel's end
// says so, and the client settles what was under way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/wire/queue_messages.hpp"

namespace mansio::wire {

struct LookupCall {  // client -> host
  static constexpr std::uint16_t kType = 170;
  std::uint64_t number = 0;  // of this channel
  std::string key;
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.key, s.time_limit);
  }
};
struct LookupResult {  // host -> client
  static constexpr std::uint16_t kType = 171;
  std::uint64_t number = 0;
  std::uint8_t outcome = 0;  // io::TableAnswer::Outcome
  std::vector<std::string> values;
  std::string text;
  bool failed = false;
  std::int64_t ttl = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.outcome, s.values, s.text, s.failed, s.ttl);
  }
};

struct DeliveryCancel {  // client -> host
  static constexpr std::uint16_t kType = 172;
  std::uint64_t lease = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease);
  }
};
struct DeliveryRecipient {  // host -> client
  static constexpr std::uint16_t kType = 173;
  std::uint64_t lease = 0;
  RecipientOutcome outcome;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease, s.outcome);
  }
};
struct DeliveryDone {  // host -> client
  static constexpr std::uint16_t kType = 174;
  std::uint64_t lease = 0;
  RecipientOutcome last;
  bool site_failure = false;
  std::string destination;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease, s.last, s.site_failure, s.destination);
  }
};

// ---- rates: the client is the queue process -----------------------------------------------------------------------

struct RateAsk {  // client -> host
  static constexpr std::uint16_t kType = 165;
  std::uint64_t number = 0;
  std::string limit, key;
  std::uint32_t want = 0;
  double per_second = 0;
  std::uint32_t burst = 0;
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.limit, s.key, s.want, s.per_second, s.burst, s.time_limit);
  }
};
struct RateLease {  // host -> client
  static constexpr std::uint16_t kType = 166;
  std::uint64_t number = 0;
  bool failed = false;  // then `text` says why, and there are no units
  std::uint32_t units = 0;
  std::int64_t ttl = 0, retry = 0;  // ns
  std::string text;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.failed, s.units, s.ttl, s.retry, s.text);
  }
};
struct RateUnused {  // client -> host
  static constexpr std::uint16_t kType = 167;
  std::string limit, key;
  std::uint32_t units = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.limit, s.key, s.units);
  }
};

struct RateHold {  // client -> host, answered by RateLease; with no time limit nobody waits for the answer
  static constexpr std::uint16_t kType = 168;
  std::uint64_t number = 0;
  std::string limit, key, holder;
  std::uint32_t held = 0, want = 0, capacity = 0;
  std::int64_t rest = 0, time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.limit, s.key, s.holder, s.held, s.want, s.capacity, s.rest, s.time_limit);
  }
};

}  // namespace mansio::wire
