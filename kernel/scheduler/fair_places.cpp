// Places that plugins give (places.hpp): which limits go by them, when their owners are told and asked, and what
// becomes of the answers.
//
// One question a limit is under way at a time, and each says all: what is taken or kept now, and what is wanted
// altogether. So one that is lost, comes late or comes twice does no harm, and giving back is a question like any
// other. Limits with places, or whose owner thinks so, always have a question under way or a timer: by it the owner is
// told again in time, and what is not used goes back, at once when no mail is left and soon when something else binds.
// What is configured here counts besides, so a limit whose owner fails and is skipped is that of this node.
#include <algorithm>
#include <utility>

#include "kernel/scheduler/fair_scheduler.hpp"

namespace mansio::scheduler {
namespace {

constexpr Nanos kPlacesMinute = 60 * kSecond;
constexpr Nanos kPlacesLongest = 3600 * kSecond;     // of what a plugin says of times
constexpr Nanos kPlacesMoment = 250 * kMillisecond;  // to the next question, where there were too few
constexpr Nanos kPlacesAskAgain = kSecond;           // after a failure
// What was not taken for so long goes back: where mail waits that something else binds, and where none does.
constexpr Nanos kPlacesIdle = kSecond, kPlacesUnwanted = 100 * kMillisecond;
constexpr std::string_view kPlacesNames[] = {"", "destination_concurrency_limit", "destination_rate_delay",
                                             "process_limit", "transport_rate_delay"};

bool of_destination(const Places &p) {
  return p.terms.of == Places::Of::Destination || p.terms.of == Places::Of::DestinationDelay;
}

}  // namespace

// Whose places the limit goes by as it is now: made, kept or given up.
PlacesId FairScheduler::own_places(PlacesId before, std::uint32_t id, const Places::Terms &terms) {
  const bool owned = terms.owner != 0 && terms.owner <= owners_.size();
  if (before != kNobody) {
    const auto &old = places_[before].terms;
    if (!owned || old.owner != terms.owner || old.of != terms.of) {
      disown_places(before);
      before = kNobody;
    }
  }
  if (!owned) return kNobody;
  const auto to = before == kNobody ? take_number(free_places_, places_) : before;
  places_[to].id = id;
  places_[to].terms = terms;
  look_at_places(to, now_);  // deliveries may be under way already
  return to;
}

// The same of a destination; a member of a site goes by the site's. With a delay one delivery runs at a time anyway.
void FairScheduler::find_places(DestinationId id) {
  auto &d = destinations_[id];
  Places::Terms terms;
  if (d.site == kNobody) {
    const auto &limits = limits_of(d);
    if (limits.rate_delay > 0 && limits.rate_delay_owner != 0)
      terms = {Places::Of::DestinationDelay, limits.rate_delay_owner, 1, limits.rate_delay};
    else if (limits.window.limit > 0 && limits.concurrency_owner != 0)
      terms = {Places::Of::Destination, limits.concurrency_owner, limits.window.limit, 0};
  }
  if (!d.placed && terms.owner == 0) return;
  const auto after = own_places(places_of(id), id, terms);
  if (after == kNobody)
    destination_places_.erase(id);
  else
    destination_places_[id] = after;
  d.placed = after != kNobody;
  d.waits = false;  // found out when its turn comes; the same number may be another owner's now, which nobody asked
  offer(id);
}

void FairScheduler::find_places(TransportState &t, TransportId id) {
  const auto &l = t.limits;
  Places::Terms sessions, delay;
  if (l.sessions > 0 && l.sessions_owner != 0) sessions = {Places::Of::Transport, l.sessions_owner, l.sessions, 0};
  if (l.rate_delay > 0 && l.rate_delay_owner != 0)
    delay = {Places::Of::TransportDelay, l.rate_delay_owner, 1, l.rate_delay};
  t.places = own_places(t.places, id, sessions);
  t.spacing = own_places(t.spacing, id, delay);
}

// What is under way stays counted by the owner until its time is over: nobody here speaks for it any more.
void FairScheduler::disown_places(PlacesId id) {
  auto &p = places_[id];
  if (p.reported > 0 || p.question != 0) part(p);
  asked_places_.erase(p.question);
  p = Places{};
  free_places_.push_back(id);
}

// Nobody waits for the answer.
void FairScheduler::part(const Places &p) {
  const auto taken = taken_of(p);
  auto question = question_of(p, taken, taken);
  question.parting = true;
  questions_.push_back(std::move(question));
}

void FairScheduler::disown_all_places() {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto p = places_[i];
    if (p.terms.of == Places::Of::Nobody) continue;
    disown_places(static_cast<PlacesId>(i));
    if (of_destination(p)) {
      auto &d = destinations_[p.id];
      destination_places_.erase(p.id);
      d.placed = d.waits = false;
      offer(p.id);
    } else {
      auto &t = transports_[p.id];
      (p.terms.of == Places::Of::Transport ? t.places : t.spacing) = kNobody;
    }
  }
  for (auto &t : transports_) {
    t.limits.sessions_owner = t.limits.rate_delay_owner = 0;
    t.limits.destination.concurrency_owner = t.limits.destination.rate_delay_owner = 0;
    for (auto &rule : t.limits.rules) rule.limits.concurrency_owner = rule.limits.rate_delay_owner = 0;
  }
}

void FairScheduler::forget_places(DestinationId id) {
  if (!destinations_[id].placed) return;
  disown_places(places_of(id));
  destination_places_.erase(id);
}

std::uint32_t FairScheduler::taken_of(const Places &p) const {
  if (p.terms.of == Places::Of::Transport) return transports_[p.id].in_use();
  return of_destination(p) ? destinations_[p.id].busy : 0;
}

std::uint64_t FairScheduler::ready_of(const Places &p) const {
  return of_destination(p) ? destinations_[p.id].ready : transports_[p.id].ready;
}

std::pair<std::string, std::string> FairScheduler::name_of(const Places &p) const {
  std::string name{kPlacesNames[static_cast<std::size_t>(p.terms.of)]};
  if (!of_destination(p)) return {std::move(name), transports_[p.id].limits.name};
  const auto &d = destinations_[p.id];
  return {std::move(name), transports_[d.transport].limits.name + ':' + d.nexthop};
}

bool FairScheduler::placed_by_owner(PlacesId id) const {
  return id != kNobody && !(places_[id].failed && owners_[places_[id].terms.owner - 1u].skip);
}

// Mail is at hand that could go but for this.
bool FairScheduler::may_take_place(PlacesId id, Nanos now) {
  if (!placed_by_owner(id)) return true;
  auto &p = places_[id];
  if (p.free(taken_of(p), now) > 0) {
    p.wanted = false;
    return true;
  }
  if (!std::exchange(p.wanted, true)) places_due(id, now, true);
  return false;
}

// A delivery has begun.
void FairScheduler::place_taken(PlacesId id, Nanos now) {
  if (id == kNobody) return;
  auto &p = places_[id];
  p.used_at = now;
  p.most = std::max(p.most, taken_of(p));
  if (p.terms.of != Places::Of::TransportDelay) return;
  p.may = 0;  // it rests now
  look_at_places(id, now);
}

// A delivery has ended.
void FairScheduler::place_left(PlacesId id) {
  if (id == kNobody) return;
  auto &p = places_[id];
  const auto taken = taken_of(p);
  if (p.terms.rest > 0) p.let_go(taken);
  if (p.free(taken, now_) > 0) {
    if (of_destination(p)) destinations_[p.id].waits = false;  // who ended it offers it again
    if (ready_of(p) > 0) {
      p.used_at = now_;
      return look_at_places(id, now_ + kPlacesIdle);  // something else may keep the next one from it
    }
  }
  if (p.reported > 0) look_at_places(id, now_);
}

// One that is free stays so until then: who is to take it waits for others to end, and not for want of it.
void FairScheduler::keep_place(PlacesId id, Nanos until) {
  if (id == kNobody) return;
  auto &p = places_[id];
  p.used_at = std::max(p.used_at, until);
  p.most = std::max(p.most, taken_of(p) + 1);
}

// As many again as are taken: so it has all that it can use after a few questions, and where another limit binds it
// does not ask for what that one would leave unused.
std::uint32_t FairScheduler::wanted_of(const Places &p, std::uint32_t taken) const {
  std::uint64_t room = 1;
  if (p.terms.of == Places::Of::Destination) {
    const auto size = destinations_[p.id].window.size;
    room = size > taken ? size - taken : 1;
  } else if (p.terms.of == Places::Of::Transport) {
    const auto sessions = transports_[p.id].sessions();
    room = sessions > taken ? sessions - taken : 1;
  }
  const auto more = std::max<std::uint64_t>(std::min({room, ready_of(p), std::uint64_t{taken}}), 1);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(taken + more, p.terms.capacity));
}

RateQuestion FairScheduler::question_of(const Places &p, std::uint32_t held, std::uint32_t want) {
  const auto &owner = owners_[p.terms.owner - 1u];
  auto [limit, key] = name_of(p);
  RateQuestion question;
  question.number = ++last_question_;
  question.owner = owner.name;
  question.limit = std::move(limit);
  question.key = std::move(key);
  question.want = want;
  question.time_limit = owner.time_limit;
  question.places = true;
  question.held = held;
  question.capacity = p.terms.capacity;
  question.rest = p.terms.rest;
  return question;
}

void FairScheduler::ask_for_places(PlacesId id, Nanos now) {
  auto &p = places_[id];
  const auto taken = taken_of(p), held = p.held(taken, now);
  const auto want = p.wanted ? std::max(held, wanted_of(p, taken)) : held;
  auto question = question_of(p, held, want);
  p.question = question.number;
  p.most = taken;
  asked_places_.emplace(p.question, AskedPlaces{id, held, want, now});
  questions_.push_back(std::move(question));
}

void FairScheduler::look_at_places(PlacesId id, Nanos at) {
  auto &p = places_[id];
  if (p.timer != 0 && p.timer <= at) return;
  p.timer = at;
  timers_.push({at, id, Timer::Kind::Places});
}

// All that there is to decide about the owner, whatever the reason to look.
void FairScheduler::places_due(PlacesId id, Nanos now, bool at_hand) {
  auto &p = places_[id];
  if (p.terms.of == Places::Of::Nobody) return;
  const auto taken = taken_of(p);
  const bool none = ready_of(p) == 0;  // suspects of killing workers do not count for a destination
  const auto idle_at = p.used_at + (none ? kPlacesUnwanted : kPlacesIdle);
  if (none && !at_hand) {  // asked for when there is mail again
    p.wanted = false;
    if (of_destination(p)) destinations_[p.id].waits = false;
  }
  if (p.free(taken, now) > 0 && idle_at <= now) p.let_go(taken);
  if (p.free(taken, now) > 0 && p.share_at <= now) p.let_go(std::max(p.most, taken));
  if (p.question != 0) return;  // its answer comes back to this
  const auto held = p.held(taken, now);
  const bool may_ask = p.ask_at <= now;
  const auto renew_at = none ? p.renew_at : p.share_at;
  const bool tells = p.reported != held || (held > 0 && renew_at <= now);
  if ((tells && (may_ask || !p.failed)) || (p.wanted && may_ask)) return ask_for_places(id, now);
  Nanos at = 0;
  const auto or_at = [&](Nanos when) { at = at == 0 ? when : std::min(at, when); };
  if (held > 0 || p.reported > 0) or_at(p.failed ? std::max(renew_at, p.ask_at) : renew_at);
  if (tells || p.wanted) or_at(p.ask_at);  // not yet
  if (p.free(taken, now) > 0) or_at(idle_at);
  if (at != 0) look_at_places(id, std::max(at, now + 1));
}

// Who waits for it may try.
void FairScheduler::places_open(Places &p) {
  p.wanted = false;
  if (!of_destination(p)) return;
  destinations_[p.id].waits = false;
  offer(p.id);
}

bool FairScheduler::places_given(std::uint64_t number, std::uint32_t units, Nanos ttl, Nanos retry, Nanos now) {
  const auto node = asked_places_.extract(number);
  if (node.empty()) return false;
  const auto &asked = node.mapped();
  auto &p = places_[asked.places];
  units = std::min(units, asked.want);
  ttl = std::min(ttl > 0 ? ttl : kPlacesMinute, kPlacesLongest);
  retry = std::clamp<Nanos>(retry, 0, kPlacesLongest);
  p.question = 0;
  p.failed = false;
  p.answered(units, asked.held, asked.at, ttl);
  if (retry > 0)
    p.ask_at = now + std::max(retry, kMillisecond);
  else
    p.ask_at = units < asked.want ? now + kPlacesMoment : 0;
  p.used_at = now;
  if (p.free(taken_of(p), now) > 0) places_open(p);
  places_due(asked.places, now);
  return true;
}

bool FairScheduler::no_places(std::uint64_t number, Nanos now) {
  const auto node = asked_places_.extract(number);
  if (node.empty()) return false;
  const auto &asked = node.mapped();
  auto &p = places_[asked.places];
  p.question = 0;
  p.not_answered(asked.held, asked.want);
  p.ask_at = now + kPlacesAskAgain;
  if (!std::exchange(p.failed, true) && !placed_by_owner(asked.places)) places_open(p);
  places_due(asked.places, now);
  return true;
}

void FairScheduler::return_places(std::string_view owner) {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    auto &p = places_[i];
    if (p.terms.of == Places::Of::Nobody || owners_[p.terms.owner - 1u].name != owner) continue;
    p.let_go(taken_of(p));
    if (p.reported > 0 || p.question != 0) part(p);
  }
}

}  // namespace mansio::scheduler
