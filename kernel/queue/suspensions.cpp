// Operators' questions and orders about what does not move: why, suspend, resume, suspensions; and what of the
// scheduler's knowledge outlives us.
#include <algorithm>
#include <functional>
#include <utility>

#include "kernel/mail/utf8.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {
namespace {

constexpr int kSlotsPerTurn = 128;
constexpr std::pair<std::string_view, scheduler::Suspension::Key> kKeys[] = {
    {"destination", scheduler::Suspension::Key::Destination},
    {"tenant", scheduler::Suspension::Key::Tenant},
    {"campaign", scheduler::Suspension::Key::Campaign},
    {"sender", scheduler::Suspension::Key::Sender},
    {"source_pool", scheduler::Suspension::Key::SourcePool}};

std::string_view name_of(scheduler::Suspension::Key key) {
  for (const auto &[name, k] : kKeys)
    if (k == key) return name;
  return "";
}

// Key and name of what an order is about; with a source pool perhaps the destination where.
scheduler::Suspension subject_of(const wire::QueueCommand &c) {
  scheduler::Suspension out;
  std::string destination;
  for (const auto &[option, value] : c.match)
    for (const auto &[name, key] : kKeys) {
      if (option != name) continue;
      if (key == scheduler::Suspension::Key::Destination) {
        destination = lower(value);
      } else {
        out.key = key;
        out.name = value;
      }
    }
  (out.name.empty() ? out.name : out.destination) = std::move(destination);
  return out;
}

}  // namespace

std::string QueueCore::problem_of_suspension(const wire::QueueCommand &c) {
  std::size_t keys = 0, pair = 0;  // of a source pool and a destination
  for (const auto &[option, value] : c.match) {
    const bool key =
        std::any_of(std::begin(kKeys), std::end(kKeys), [&, &o = option](const auto &k) { return k.first == o; });
    keys += key;
    pair += option == "source_pool" || option == "destination";
    if (key && value.empty()) return option + " has no name";
    if (key) continue;
    if (c.verb == "suspend" && option == "reason") continue;
    if (c.verb == "suspend" && option == "for") {
      if (!parse_age(value)) return "not a time: " + value + " (expected 30, 15m, 2h, 5d)";
      continue;
    }
    return c.verb + " does not understand " + option + "=" + value;
  }
  if (keys != 1 && !(keys == 2 && pair == 2))
    return "what? give one of destination, tenant, campaign, sender and source_pool, or a source_pool and a "
           "destination";
  return "";
}

// True: there are more messages to look at.
bool QueueCore::step_suspension(Command &command) {
  auto s = subject_of(command.request);
  const auto key = s.key;
  const auto now = clock_.mono();
  if (command.cursor == 0) {
    if (command.request.verb == "resume") {
      command.affected = scheduler_->resume(key, s.name, now, s.destination) ? 1 : 0;
      keep_scheduling();
      return false;
    }
    s.from = now;
    s.reason = "by " + command.request.by;
    for (const auto &[option, value] : command.request.match) {
      if (option == "reason") s.reason = value;
      if (option == "for") s.until = now + *parse_age(value);
    }
    scheduler_->suspend(std::move(s), now);
    command.affected = 1;
    keep_scheduling();
    if (key != scheduler::Suspension::Key::Sender) return false;
  }
  // Senders are told apart only where it matters: from now on it does, also for what waits already.
  for (int n = 0; n < kSlotsPerTurn && command.cursor < index_.slots(); ++n, ++command.cursor) {
    const auto slot = static_cast<MessageSlot>(command.cursor);
    if (!index_.message(slot).used) continue;
    const auto stored = peek(slot);
    if (!stored) continue;
    index_.each_group(slot, [&](GroupSlot g) { scheduler_->set_flow(g, flow_of(g, stored->envelope), now); });
  }
  return command.cursor < index_.slots();
}

std::string QueueCore::suspension_lines() const {
  std::string out;
  for (const auto &s : scheduler_->suspensions().active()) {
    Json j;
    j.open('{').key("key").text(name_of(s.key)).key("name").text(s.name);
    if (!s.destination.empty()) j.key("destination").text(s.destination);
    j.key("reason").text(s.reason);
    j.key("since").text(rfc3339(wall_of(s.from)));
    if (s.until != scheduler::kForGood) j.key("until").text(rfc3339(wall_of(s.until)));
    j.close('}');
    out += std::move(j).line();
  }
  return out;
}

void QueueCore::put_why(Json &j, GroupSlot g) const {
  if (index_.group(g).state == GroupState::Parked) {
    j.key("why").text("restart").key("detail").text("a delivery process may still have it from before a restart");
    return;
  }
  const auto why = scheduler_->why(g, clock_.mono());
  j.key("why").text(why.limit).key("detail").text(why.detail);
  if (why.value > 0) j.key("value").number(why.value);
  j.key("others").number(why.others);
  if (!why.owner.empty()) j.key("rate_plugin").text(why.owner);
  if (why.eligible > 0) j.key("eligible").text(rfc3339(wall_of(why.eligible)));
}

std::string QueueCore::why_line(MessageSlot slot) const {
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
    put_why(j, g);
    j.close('}');
    out += std::move(j).line();
  }
  return out;
}

// Of a destination, on each transport that knows it.
std::string QueueCore::why_destination(const std::string &name) const {
  std::string out;
  for (std::size_t t = 0; t < transports_.size(); ++t) {
    const auto id = scheduler_->find_destination(static_cast<scheduler::TransportId>(t), lower(name));
    if (!id) continue;
    const auto s = scheduler_->state_of(*id);
    Json j;
    j.open('{').key("transport").text(transports_[t].name).key("destination").text(scheduler_->nexthop_of(*id));
    if (!s.site.empty()) j.key("site").text(s.site);
    if (s.members > 0) j.key("members").number(s.members);
    j.key("deliveries").number(s.busy).key("concurrency").number(s.concurrency);
    j.key("ready").number(s.ready).key("groups").number(s.groups);
    if (s.dead_until > 0) j.key("dead_until").text(rfc3339(wall_of(s.dead_until)));
    if (const auto first = scheduler_->first_ready(*id)) {
      put_why(j, *first);
    } else if (s.suspension) {
      j.key("why").text("suspended").key("detail").text(s.suspension->reason);
    } else {
      j.key("why")
          .text(s.groups > 0 ? "backoff" : "nothing")
          .key("detail")
          .text(s.groups > 0 ? "all that is there waits for its next attempt" : "no mail waits there");
    }
    j.close('}');
    out += std::move(j).line();
  }
  return out;
}

// How old a group's mail is for its lifetime and its next attempt: without the time that it was suspended.
Nanos QueueCore::age_of(GroupSlot group) const {
  const auto &m = index_.message(index_.group(group).message);
  const auto age = steps_.age(m.arrival);
  return std::max<Nanos>(0, age - scheduler_->suspended_time(group, clock_.mono() - age, clock_.mono()));
}

// Written when it has changed: at once for what an operator orders, else now and then.
void QueueCore::keep_scheduling() {
  const auto bytes = scheduler_->save(clock_.wall() - clock_.mono(), clock_.mono());
  const auto hash = std::hash<std::string>{}(bytes);
  if (hash == scheduling_) return;
  scheduling_ = hash;
  journal(entry::scheduling(bytes));
}

}  // namespace mansio::queue
