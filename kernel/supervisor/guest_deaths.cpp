#include "kernel/supervisor/guest_deaths.hpp"

#include <algorithm>

namespace mansio::supervisor {

const config::PlanGuest *GuestDeaths::in_code_of(const config::Plan &plan, std::uint32_t config_epoch,
                                                 std::uint32_t slot) const {
  const auto code = shared_.code(slot).instance;
  if (code == 0) return nullptr;
  const auto found = std::ranges::find_if(
      plan.guests, [&](const auto &guest) { return shared_.instance_tag(config_epoch, guest.name) == code; });
  return found == plan.guests.end() ? nullptr : &*found;
}

GuestDeaths::Verdict GuestDeaths::died(const config::PlanGuest &guest, std::uint32_t config_epoch, std::uint32_t slot,
                                       bool hung, Nanos now, Nanos kept_down) {
  using Kind = process::RestTable::State::Kind;
  const auto tag = shared_.instance_tag(config_epoch, guest.name);
  const Record fresh{config_epoch, Breaker{guest.breaker_deaths, guest.breaker_window, guest.breaker_time}, 0};
  auto &record = records_.try_emplace(tag, fresh).first->second;
  const auto state = shared_.rests().state(tag);
  const bool rests = state && state->kind != Kind::Recovered;
  Verdict verdict{false, hung || shared_.code(slot).hangs, 0};
  if (rests && (state->kind != Kind::Trying || state->slot != slot)) return verdict;  // its call had begun before
  // What goes well at one command may still die of the next, so a try is over a while after it went well.
  if (rests || (state && now - state->time <= guest.breaker_window))
    record.pause = std::clamp(record.pause * 2, guest.breaker_time, guest.breaker_time * kLongest);
  else if (opened_by(record.breaker, verdict.hung, now, kept_down))
    record.pause = guest.breaker_time;
  else
    return verdict;
  verdict.opens = shared_.rests().rest(tag, now + record.pause);
  verdict.pause = record.pause;
  return verdict;
}

bool GuestDeaths::opened_by(Breaker &breaker, bool hung, Nanos now, Nanos kept_down) {
  for (int i = 0; i < (hung ? kHang : 1); ++i)
    if (breaker.died(now, i == 0 ? kept_down : 0)) return true;
  return false;
}

void GuestDeaths::forget_before(std::uint32_t config_epoch) {
  std::erase_if(records_, [&](const auto &each) {
    if (each.second.config_epoch >= config_epoch) return false;
    shared_.rests().forget(each.first);
    return true;
  });
}

}  // namespace mansio::supervisor
