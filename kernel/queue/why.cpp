// Operators' questions about what does not move: which limit binds a message, or what goes to a destination.
#include "kernel/queue/why.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernel/mail/utf8.hpp"
#include "kernel/queue/command_words.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"
#include "kernel/queue/waiting_groups.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kAskedPerTurn = 4096;      // messages looked at
constexpr std::uint64_t kAskedToRead = 128;      // envelopes, of groups that go to several domains
constexpr std::uint32_t kNamedForMessages = 32;  // groups of those asked about: a message may have thousands
constexpr std::string_view kFoundNames[WhyWalk::kStates] = {"ready", "deferred", "held", "under_way"};

}  // namespace

// What the scheduler does not know: why mail is held, and what the queue itself keeps back.
scheduler::Why QueueCore::why_of(GroupSlot g) const {
  auto why = scheduler_->why(g, clock_.mono());
  const auto &group = index_.group(g);
  const auto &m = index_.message(group.message);
  const auto &t = transport_of(g);
  if (why.limit == "hold" && m.extra && !m.extra->hold_reason.empty()) {
    why.detail = m.extra->hold_reason;
  } else if (why.limit == "transport_unavailable" && draining_) {
    why.limit = "stop";
    why.detail = "Mansio is stopping: no delivery begins any more";
    why.eligible = 0;
  } else if (why.limit == "backoff" && (group.flush == FlushState::Waiting || group.flush == FlushState::Woken)) {
    const auto in_line = t.to_flush.size() + t.woken.size();
    return {"flush", fmt::format("{}: {} flushed deliveries at once", t.name, t.flushed.most()), 0,
            static_cast<double>(t.flushed.most()), in_line - std::min<std::size_t>(in_line, 1)};
  } else if (why.limit == "backoff" && t.deferred && group.flush == FlushState::None) {
    return {"defer_transports", t.name + " delivers only what is flushed", 0};
  }
  return why;
}

// `named`: say whose mail else waits, which is looked up group by group.
void QueueCore::put_why(Json &j, GroupSlot g, bool named) const {
  if (index_.group(g).state == GroupState::Parked) {
    j.key("why").text("restart").key("detail").text("a delivery process may still have it from before a restart");
    return;
  }
  auto why = why_of(g);
  std::optional<WaitingGroups> waiting;
  if (named && why.others > 0 && why.of != scheduler::Why::Of::Group) {
    waiting = waiting_with(g, why);
    // Of a destination and of a party's rate all are counted as they come and go.
    const bool counted = why.of == scheduler::Why::Of::Destination || why.of == scheduler::Why::Of::Rate;
    if (waiting->all && !counted) why.others = waiting->groups;
  }
  j.key("why").text(why.limit).key("detail").text(why.detail);
  if (why.value > 0) j.key("value").number(why.value);
  j.key("others").number(why.others);
  if (waiting) waiting->put(j);
  if (!why.owner.empty()) j.key("rate_plugin").text(why.owner);
  if (why.eligible > 0) j.key("eligible").text(rfc3339(wall_of(why.eligible)));
}

WaitingGroups QueueCore::waiting_with(GroupSlot asked, const scheduler::Why &why) const {
  WaitingGroups waiting;
  const auto names = [&](GroupSlot g) {
    const auto sender = index_.sender_domain(index_.group(g).message);
    return WaitingGroups::Names{scheduler_->tenant_of(g),
                                sender == kInEnvelope ? std::string_view{} : index_.domain_name(sender),
                                scheduler_->nexthop_of(scheduler_->destination_of(g))};
  };
  waiting.own = names(asked);
  waiting.all = scheduler_->each_waiting(why, WaitingGroups::kLookedAt, [&](GroupSlot g) {
    if (g != asked) waiting.add(names(g));
  });
  return waiting;
}

std::string QueueCore::why_line(Command &command, MessageSlot slot) const {
  const auto &m = index_.message(slot);
  std::string out;
  for (auto g = m.groups; g != kNone; g = index_.group(g).next) {
    Json j;
    j.open('{').key("queue_id").text(to_string(m.id)).key("transport").text(transport_of(g).name);
    const auto destination = scheduler_->destination_of(g);
    j.key("destination").text(scheduler_->nexthop_of(destination));
    if (const auto site = scheduler_->site_of(destination); site != destination)
      j.key("site").text(scheduler_->nexthop_of(site));
    if (const auto pool = scheduler_->chosen_pool(g); !pool.empty()) j.key("source_pool").text(pool);
    j.key("recipients").number(index_.group(g).recipients.size());
    put_why(j, g, command.named < kNamedForMessages);
    ++command.named;
    j.close('}');
    out += std::move(j).line();
  }
  return out;
}

// Of a destination on each transport that knows it, and of those by which mail for that domain goes. True: there are
// more messages to look at.
bool QueueCore::why_destination(Command &command) {
  const auto asked = lower(match_of(command, "destination"));
  if (!command.why) {
    command.why = std::make_unique<WhyWalk>();
    for (std::size_t t = 0; t < transports_.size(); ++t)
      if (const auto id = static_cast<scheduler::TransportId>(t); scheduler_->find_destination(id, asked))
        command.why->found[{id, asked}];
  }
  const auto end = std::min<std::size_t>(index_.slots(), command.cursor + kAskedPerTurn);
  for (const auto reads = peeks_; command.cursor < end && peeks_ < reads + kAskedToRead; ++command.cursor) {
    const auto slot = static_cast<MessageSlot>(command.cursor);
    if (!index_.message(slot).used) continue;
    SharedStored stored;
    for (auto g = index_.message(slot).groups; g != kNone; g = index_.group(g).next)
      if (goes_to(g, asked, stored)) count_why(*command.why, g, asked);
  }
  if (command.cursor < index_.slots()) return true;
  for (const auto &[key, found] : command.why->found) command.lines += why_found(key, found, asked);
  return false;
}

void QueueCore::count_why(WhyWalk &walk, GroupSlot g, const std::string &asked) const {
  auto destination = scheduler_->destination_of(g);
  const auto site = scheduler_->site_of(destination);
  if (scheduler_->nexthop_of(destination) != asked && scheduler_->nexthop_of(site) == asked) destination = site;
  const WhyWalk::Key key{scheduler_->transport_of(g), std::string{scheduler_->nexthop_of(destination)}};
  auto at = walk.found.find(key);
  if (at == walk.found.end()) {
    if (walk.found.size() >= WhyWalk::kMost) return;
    at = walk.found.try_emplace(key).first;
  }
  const auto &group = index_.group(g);
  const auto due = scheduler_->due(g);
  const auto state = group.state == GroupState::Held                                          ? WhyWalk::Held
                     : group.state == GroupState::Leased || group.state == GroupState::Parked ? WhyWalk::UnderWay
                     : due > clock_.mono()                                                    ? WhyWalk::Deferred
                                                                                              : WhyWalk::Ready;
  auto &found = at->second;
  auto &some = found.of[state];
  const bool first = some.first == kNone || (state == WhyWalk::Deferred && due < found.first_due);
  ++some.groups;
  if (!first) return;
  some.first = g;
  some.message = index_.id_of(group.message);
  if (state == WhyWalk::Deferred) found.first_due = due;
}

// What is ready tells which limit binds. Of what is not, the destination's own state comes before that of its mail:
// until that has passed no attempt is made, whatever is due.
std::string QueueCore::why_found(const WhyWalk::Key &key, const WhyWalk::Found &found, const std::string &asked) const {
  const auto id = scheduler_->find_destination(key.first, key.second);
  if (!id) return "";  // its mail has gone meanwhile
  const auto s = scheduler_->state_of(*id);
  const auto &name = key.second;
  Json j;
  j.open('{').key("transport").text(transports_[key.first].name).key("destination").text(name);
  if (name != asked) j.key("for").text(asked);
  if (!s.site.empty()) j.key("site").text(s.site);
  if (s.members > 0) j.key("members").number(s.members);
  j.key("deliveries").number(s.busy).key("concurrency").number(s.concurrency);
  j.key("ready").number(s.ready).key("groups").number(s.groups);
  if (s.concurrency_limit > 0) j.key("concurrency_limit").number(s.concurrency_limit);
  if (s.adaptive_rate > 0) j.key("adaptive_rate").number(s.adaptive_rate);
  if (s.dead_until > 0) j.key("dead_until").text(rfc3339(wall_of(s.dead_until)));
  j.key("found").open('{');
  for (std::size_t i = 0; i < WhyWalk::kStates; ++i) j.key(kFoundNames[i]).number(found.of[i].groups);
  j.close('}');
  const auto there = [&](WhyWalk::State state) {
    const auto g = found.of[state].first;
    return g != kNone && index_.group(g).state != GroupState::Free &&
           index_.id_of(index_.group(g).message) == found.of[state].message;
  };
  const auto waits_for = [&](std::string_view why, const std::string &detail, Nanos until) {
    j.key("why").text(why).key("detail").text(detail);
    j.key("others").number(found.of[WhyWalk::Deferred].groups);
    if (until != scheduler::kForGood)
      j.key("eligible").text(rfc3339(wall_of(std::max({until, found.first_due, clock_.mono()}))));
  };
  if (there(WhyWalk::Ready))
    put_why(j, found.of[WhyWalk::Ready].first, true);
  else if (s.suspension)
    waits_for("suspended", text_of(*s.suspension), s.suspension->until);
  else if (s.dead_until > 0)
    waits_for("dead_destination", name, s.dead_until);
  else if (there(WhyWalk::Deferred))
    put_why(j, found.of[WhyWalk::Deferred].first, true);
  else if (there(WhyWalk::Held))
    put_why(j, found.of[WhyWalk::Held].first, true);
  else if (there(WhyWalk::UnderWay))
    put_why(j, found.of[WhyWalk::UnderWay].first, true);
  else
    j.key("why").text("nothing").key("detail").text("no mail waits there");
  j.close('}');
  return std::move(j).line();
}

}  // namespace mansio::queue
