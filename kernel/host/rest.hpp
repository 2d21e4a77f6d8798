// Rest: an instance whose code ended processes that ran it is not called while the supervisor has it rest, in none of
// them (process/rests.hpp). Afterwards one process tries it: with its start, where it is not there yet, and then with
// one operation at a time until one is answered properly.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "kernel/host/plugin.hpp"

namespace mansio::host {

class Rest {
 public:
  // `instance`: "filter spam"; `patience`: for how long a try keeps the others off.
  Rest(const Surroundings &around, std::string_view instance, Nanos patience)
      : shared_(around.shared),
        slot_(around.slot),
        instance_(shared_ ? shared_->instance_tag(around.config_epoch, instance) : 0),
        patience_(patience) {}

  // May it be started?
  bool allows_start(Nanos now) { return ask(now) != Leave::No; }
  // May an operation begin? Then recovered(), not_recovered() or nothing follows. `part_of`: as Breaker::allows() has
  // it.
  bool allows(Nanos now, std::uint64_t part_of) {
    const auto leave = ask(now);
    if (leave == Leave::Free || leave == Leave::No) {
      trying_ = false;
      return leave == Leave::Free;
    }
    if (leave == Leave::Yours && trying_) return part_of != 0 && part_of == tries_;
    trying_ = true;
    tries_ = part_of;
    return true;
  }
  // One was answered; true: that was the try, and it rests no more.
  bool recovered(Nanos now) {
    if (!trying_) return false;
    trying_ = false;
    return shared_->rests().recovered(instance_, slot_, now);
  }
  // One failed, or came to no answer: the next one tries.
  void not_recovered() { trying_ = false; }

  bool resting() const {
    using Kind = process::RestTable::State::Kind;
    const auto state = shared_ ? shared_->rests().state(instance_) : std::nullopt;
    return state && state->kind != Kind::Recovered;
  }

 private:
  using Leave = process::RestTable::Leave;
  Leave ask(Nanos now) const { return shared_ ? shared_->rests().ask(instance_, slot_, now, patience_) : Leave::Free; }

  process::SharedMemory *shared_;  // null: nobody has it rest
  std::uint32_t slot_;
  std::uint64_t instance_;
  Nanos patience_;
  bool trying_ = false;
  std::uint64_t tries_ = 0;  // part of what, if of anything
};

}  // namespace mansio::host
