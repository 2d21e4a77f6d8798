// What the plugin that owns a limit has given, as the model beside the scheduler keeps it: a ledger of answers. What
// may begin is what the ledger allows; what waits for the owner waits only while he is asked, or wants to be left
// alone.
#pragma once

#include <algorithm>
#include <vector>

#include "kernel/scheduler/scheduler.hpp"

namespace mansio::scheduler {

// A question's way to its owner and back is the same for permits and places.
struct Owned {
  std::uint16_t owner = 0;  // the number in rate_owners(), from 1; 0: nobody
  std::uint64_t question = 0;
  Nanos asked_at = 0;  // when that was
  Nanos ask_at = 0;    // the owner is not to be asked before
  bool failed = false;

  bool counts(const std::vector<RateOwner> &owners) const { return owner != 0 && !(failed && owners[owner - 1u].skip); }
  bool is_waited_for(Nanos now) const { return question != 0 || ask_at > now; }
  void ask(const RateQuestion &q, Nanos now) {
    question = q.number;
    asked_at = now;
  }
  // True: until now it counted.
  bool fail(const std::vector<RateOwner> &owners, Nanos now) {
    const bool did = counts(owners);
    question = 0;
    ask_at = now + kSecond;
    failed = true;
    return did;
  }
};

// Permits: each is used up by one delivery, in the order in which they came.
struct PermitLedger : Owned {
  struct Lease {
    std::uint32_t units = 0;
    Nanos until = 0;
  };
  std::vector<Lease> leases;

  void owned_by(std::uint16_t number) {
    if (number == owner) return;
    *this = {};
    owner = number;
  }
  bool any(Nanos now) const {
    return std::any_of(leases.begin(), leases.end(), [&](const Lease &l) { return l.units > 0 && l.until > now; });
  }
  void use(Nanos now) {
    std::erase_if(leases, [&](const Lease &l) { return l.units == 0 || l.until <= now; });
    if (!leases.empty()) --leases.front().units;
  }
  void give(std::uint32_t units, Nanos ttl, Nanos retry, Nanos interval, Nanos now) {
    question = 0;
    failed = false;
    leases.push_back({units, asked_at + ttl});
    if (any(now))
      ask_at = retry > 0 ? now + retry : 0;
    else
      ask_at = now + (retry > 0 ? std::max(retry, kMillisecond) : std::clamp(interval, 50 * kMillisecond, kSecond));
  }
};

// Places: so many deliveries at once. The scheduler may give up some that it does not use at any time, so what is here
// is the most that it may have.
struct PlaceLedger : Owned {
  bool delay = false;  // one, that is given up with each delivery
  std::uint32_t may = 0;
  std::uint32_t believed = 0;  // that are taken or kept, as the owner knows it
  Nanos until = 0;

  void owned_by(std::uint16_t number, bool is_delay) {
    if (number == owner && (number == 0 || is_delay == delay)) return;
    *this = {};
    owner = number;
    delay = is_delay;
  }
  bool free(std::uint32_t taken, Nanos now) const { return until > now && taken < may; }
  // What is wrong with the question; nullptr: nothing.
  const char *tell(const RateQuestion &q, std::uint32_t taken, Nanos now) {
    if (question != 0) return "two questions about one limit";
    if (q.held < taken) return "says that fewer places are taken than are";
    if (q.held > std::max(taken, until > now ? may : 0)) return "says that it has places that nobody gave";
    if (q.want > std::max(q.held, q.capacity)) return "wants more places than there are";
    ask(q, now);
    may = std::min(may, q.held);
    believed = q.held;
    return nullptr;
  }
  void give(const RateQuestion &q, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) {
    question = 0;
    failed = false;
    may = units;
    believed = std::max(q.held, units);
    until = asked_at + ttl;
    ask_at = retry > 0 ? now + std::max(retry, kMillisecond) : units < q.want ? now + 250 * kMillisecond : 0;
  }
  // A delivery that it was taken for has begun, or ended.
  void rest() {
    if (delay) may = 0;
  }
};

}  // namespace mansio::scheduler
