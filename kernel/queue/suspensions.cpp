// Operators' orders about what is not to move: suspend, resume, suspensions; and what of the scheduler's knowledge
// outlives us.
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
  return tell_senders_apart(command.cursor);
}

// Of the messages from there on, some; true: there are more. What was chosen from a source group stays chosen.
bool QueueCore::tell_senders_apart(std::size_t &cursor) {
  const auto now = clock_.mono();
  for (int n = 0; n < kSlotsPerTurn && cursor < index_.slots(); ++n, ++cursor) {
    const auto slot = static_cast<MessageSlot>(cursor);
    if (!index_.message(slot).used) continue;
    const auto stored = peek(slot);
    if (!stored) continue;
    const auto &envelope = stored->envelope;
    index_.each_group(slot, [&](GroupSlot g) {
      const bool chosen = !scheduler_->chosen_pool(g).empty();
      scheduler_->set_flow(
          g, chosen ? scheduler_->with_sender(scheduler_->flow_of(g), envelope.sender) : flow_of(g, envelope), now);
    });
  }
  return cursor < index_.slots();
}

// The same when a configuration limits other senders than the one before.
bool QueueCore::limited_senders_apart() {
  if (!senders_apart_at_) return false;
  const bool more = tell_senders_apart(*senders_apart_at_);
  if (!more) senders_apart_at_.reset();
  return more;
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

// How old a group's mail is for its lifetime and its next attempt: without the time that it was suspended.
Nanos QueueCore::age_of(GroupSlot group) const {
  const auto &m = index_.message(index_.group(group).message);
  const auto age = steps_.age(m.arrival);
  return std::max<Nanos>(0, age - scheduler_->suspended_time(group, clock_.mono() - age, clock_.mono()));
}

// Written when it has changed: at once for what an operator orders, soon for what replies do and for a destination that
// dies, when nothing is under way for a while, else now and then. What a crash forgets of rates counts as used.
void QueueCore::keep_scheduling() {
  scheduling_kept_ = clock_.mono();
  const auto changed = [](const std::string &bytes, std::size_t &before) {
    const auto hash = std::hash<std::string_view>{}(bytes);
    return std::exchange(before, hash) != hash;
  };
  const auto bytes = scheduler_->save(clock_.wall() - clock_.mono(), clock_.mono());
  if (changed(bytes, scheduling_)) journal(entry::scheduling(bytes));
  const auto learned = save_learned();
  if (changed(learned, learned_)) journal(entry::learned(learned));
}

// It looks at all destinations, and replies may be many.
void QueueCore::keep_scheduling_soon() {
  constexpr Nanos kApart = 5 * kSecond;
  keep_scheduling_at_ = std::min(keep_scheduling_at_, std::max(clock_.mono(), scheduling_kept_ + kApart));
}

void QueueCore::restore_scheduling(std::string_view scheduling, std::string_view learned) {
  const auto offset = clock_.wall() - clock_.mono();
  scheduler_->restore(scheduling, offset, clock_.mono());
  scheduler_->restore_more(learned, offset, clock_.mono());
  if (store_.was_active()) {
    const auto until = replay_->leased_until();
    scheduler_->used_up(until == 0 ? clock_.mono() : until - offset, clock_.mono());
  }
  restore_learned(learned);
  learned_ = std::hash<std::string_view>{}(learned);
}

}  // namespace mansio::queue
