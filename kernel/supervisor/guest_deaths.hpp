// GuestDeaths: processes that ended in the code of a plugin instance which was their guest, [filter.NAME] with
// isolation = "inproc" say, counted against that instance, whichever processes they were. Too many open its breaker:
// the instance rests (process/rests.hpp), so that the others, and those that are started, have nothing to die of.
//
// An instance is one of a configuration: a reload begins with breakers that are closed, and a new instance that dies
// takes nothing from the old one of that name.
#pragma once

#include <cstdint>
#include <map>

#include "kernel/config/plan.hpp"
#include "kernel/process/shared.hpp"
#include "kernel/supervisor/breaker.hpp"

namespace mansio::supervisor {

class GuestDeaths {
 public:
  // A breaker that opens again because of a try has twice its last pause, up to so many times the first.
  static constexpr int kLongest = 32;
  // A hang counts as so many deaths: for the seconds that it takes to notice it nobody is served. By default one opens
  // the breaker.
  static constexpr int kHang = 5;

  explicit GuestDeaths(process::SharedMemory &shared) : shared_(shared) {}

  // In whose code the process of that slot, of that configuration, has ended; null: in nobody's that is known. The slot
  // is not released yet, as for died().
  const config::PlanGuest *in_code_of(const config::Plan &plan, std::uint32_t config_epoch, std::uint32_t slot) const;

  struct Verdict {
    bool opens = false;  // its breaker, with this death
    bool hung = false;   // its code did not return
    Nanos pause = 0;
  };
  // It is that one's fault. `kept_down`: as of Breaker::died(), of that process.
  Verdict died(const config::PlanGuest &guest, std::uint32_t config_epoch, std::uint32_t slot, bool hung, Nanos now,
               Nanos kept_down = 0);
  // No process is left of the configurations before that one.
  void forget_before(std::uint32_t config_epoch);

 private:
  struct Record {
    std::uint32_t config_epoch = 0;
    Breaker breaker;
    Nanos pause = 0;
  };
  static bool opened_by(Breaker &breaker, bool hung, Nanos now, Nanos kept_down);

  process::SharedMemory &shared_;
  std::map<std::uint64_t, Record> records_;  // by SharedMemory::instance_tag()
};

}  // namespace mansio::supervisor
