// Operators' commands: which messages they mean, and what they do to them.
#include <algorithm>
#include <charconv>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/queue/command_words.hpp"
#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {
namespace {

constexpr int kVisitsPerTurn = 128;
constexpr int kFlushVisitsPerTurn = 4096;
constexpr std::string_view kLate = "the queue changed faster than its list was read: what is listed last is of later";

}  // namespace

// "90", "90s", "15m", "2h", "5d", "1w".
std::optional<Nanos> parse_age(std::string_view text) {
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || n < 0 || n > 1'000'000'000) return std::nullopt;
  const std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
  if (unit.empty() || unit == "s") return n * kSecond;
  if (unit == "m") return n * 60 * kSecond;
  if (unit == "h") return n * 3600 * kSecond;
  if (unit == "d") return std::min<std::int64_t>(n, 36500) * 86400 * kSecond;
  if (unit == "w") return std::min<std::int64_t>(n, 5200) * 7 * 86400 * kSecond;
  return std::nullopt;
}

namespace {

// "" if the request makes sense, else what was expected.
std::string problem_of(const wire::QueueCommand &c) {
  constexpr std::string_view verbs[] = {
      "list",    "show",   "hold", "release", "requeue", "reroute",     "rebind",    "delete",     "expire", "flush",
      "summary", "qshape", "why",  "suspend", "resume",  "suspensions", "responses", "unthrottle", "stores", "restore"};
  if (std::find(std::begin(verbs), std::end(verbs), c.verb) == std::end(verbs)) return "unknown command: " + c.verb;
  for (const auto &id : c.ids)
    if (!parse_message_id(id)) return "not a queue id: " + id;
  if (c.verb == "suspend" || c.verb == "resume") return QueueCore::problem_of_suspension(c);
  if (c.verb == "unthrottle") return QueueCore::problem_of_unthrottle(c);
  if (c.verb == "stores" || c.verb == "restore") return "";
  if (c.verb == "why" && c.match.size() == 1 && c.match.front().first == "destination" && c.ids.empty()) return "";
  bool chosen = c.all || !c.ids.empty();
  for (const auto &[key, value] : c.match) {
    constexpr std::string_view keys[] = {"sender",    "recipient", "domain",   "destination", "state",
                                         "transport", "tenant",    "campaign", "source_pool", "older"};
    if (is_target(c, key)) continue;
    chosen = true;
    if (c.verb == "qshape") {
      if (key == "state" || shape_option(key, value)) continue;
      return "qshape does not understand " + key + "=" + value;
    }
    if (std::find(std::begin(keys), std::end(keys), key) == std::end(keys))
      return "cannot match by " + key +
             ": expected sender, recipient, domain, destination, state, transport, tenant, campaign, source_pool or "
             "older";
    if (key == "older" && !parse_age(value)) return "not an age: " + value + " (expected 30, 15m, 2h, 5d)";
  }
  const bool of_all = c.reads() && c.verb != "show" && c.verb != "why";
  if (!of_all && !chosen) return "which messages? give queue ids, all or a match";
  return "";
}

}  // namespace

std::string_view match_of(const Command &command, std::string_view name) {
  for (const auto &[key, value] : command.request.match)
    if (key == name) return value;
  return "";
}

bool names_state(std::string_view states, std::string_view name) {
  while (!states.empty()) {
    const auto comma = std::min(states.find(','), states.size());
    if (states.substr(0, comma) == name) return true;
    states.remove_prefix(std::min(comma + 1, states.size()));
  }
  return false;
}

bool names_sender(std::string_view wanted, std::string_view sender) {
  if (wanted == "<>") return sender.empty();
  const bool end = wanted.starts_with('@') || wanted.starts_with('.');
  if (end && sender.size() > wanted.size()) sender.remove_prefix(sender.size() - wanted.size());
  return equals_nocase(wanted, sender);
}

void QueueCore::on_command(Connection &c, wire::QueueCommand &request) {
  auto problem = problem_of(request);
  if (problem.empty() && request.verb == "rebind") problem = problem_of_rebind(request);
  if (problem.empty() && request.verb == "restore") problem = order_restore(request);
  if (!request.reads()) {
    std::string what;
    for (const auto &id : request.ids) what += (what.empty() ? "" : " ") + id;
    for (const auto &[key, value] : request.match) what += (what.empty() ? "" : " ") + key + "=" + value;
    log_.info("queue command",
              {{"verb", request.verb}, {"by", request.by}, {"all", request.all}, {"what", what}, {"refused", problem}});
  }
  auto &command = commands_.emplace_back();
  command.connection = c.id;
  command.request = std::move(request);
  if (problem.empty() && command.request.verb == "list" && command.request.ids.empty()) take_snapshot(command);
  if (problem.empty()) return;
  if (c.link) c.link->send(wire::QueueReply{command.request.request, "", true, problem, 0});
  commands_.pop_back();
}

void QueueCore::on_credit(Connection &c, const wire::QueueCommandCredit &credit) {
  for (auto &command : commands_)
    if (command.connection == c.id && command.request.request == credit.request && command.credit < 1000)
      ++command.credit;
}

// True: some command can go on without waiting for anything.
bool QueueCore::step_commands() {
  bool more = false;
  const auto end = [this](std::list<Command>::iterator command) {
    const bool snapshot = command->snapshot;
    const auto next = commands_.erase(command);
    if (snapshot) end_snapshots();
    return next;
  };
  for (auto at = commands_.begin(); at != commands_.end();) {
    auto *c = find(at->connection);
    if (!c || !c->link) {
      at = end(at);
      continue;
    }
    if (at->lines.size() < kReplyBytes && !at->walked) at->walked = !step(*at);
    if (at->etrn) {
      more |= !at->walked;
      if (!at->walked) {
        ++at;
        continue;
      }
      c->link->send(wire::FlushReply{*at->etrn, true, at->affected});
      at = commands_.erase(at);
      continue;
    }
    const bool ready = at->walked || at->lines.size() >= kReplyBytes;
    if (ready && at->credit > 0) {
      // Whole lines, as many as a reply may hold.
      auto cut = at->lines.size();
      if (cut > kReplyBytes + 16 * 1024) cut = at->lines.rfind('\n', kReplyBytes + 16 * 1024) + 1;
      if (cut == 0) cut = std::min<std::size_t>(at->lines.size(), kReplyBytes + 16 * 1024);
      const bool done = at->walked && cut == at->lines.size();
      const std::string error{done && at->late ? kLate : ""};
      if (c->link->send(wire::QueueReply{at->request.request, at->lines.substr(0, cut), done, error, at->affected})) {
        at->lines.erase(0, cut);
        --at->credit;
        if (done) {
          at = end(at);
          continue;
        }
      }
    }
    more |= !at->walked && at->lines.size() < kReplyBytes;
    ++at;
  }
  return more;
}

// Visits some messages; false: all were visited.
bool QueueCore::step(Command &command) {
  if (command.request.verb == "summary") {
    command.lines = summary();
    return false;
  }
  if (command.request.verb == "qshape") return shape(command);
  if (command.request.verb == "suspend" || command.request.verb == "resume") return step_suspension(command);
  if (command.request.verb == "suspensions") return command.lines = suspension_lines(), false;
  if (command.request.verb == "responses") return command.lines = response_lines(), false;
  if (command.request.verb == "unthrottle")
    return command.affected = unthrottle(lower(match_of(command, "destination"))), false;
  if (command.request.verb == "stores") return command.lines = store_lines(), false;
  if (command.request.verb == "restore") return false;  // it has begun
  if (command.request.verb == "why" && command.request.ids.empty() && !match_of(command, "destination").empty())
    return why_destination(command);
  // A flush mostly looks at the index alone, and only marks what it finds.
  const auto visits = command.request.verb == "flush" ? kFlushVisitsPerTurn : kVisitsPerTurn;
  const auto reads = peeks_;
  for (int n = 0; n < visits && peeks_ < reads + kVisitsPerTurn; ++n) {
    MessageSlot slot = kNone;
    if (!command.request.ids.empty()) {
      if (command.cursor >= command.request.ids.size()) return false;
      slot = index_.find(*parse_message_id(command.request.ids[command.cursor++]));
    } else {
      if (command.cursor >= (command.snapshot ? command.listed.size() : index_.slots())) return false;
      slot = static_cast<MessageSlot>(command.cursor++);
      if (!index_.message(slot).used || (command.snapshot && command.listed[slot])) slot = kNone;
    }
    if (slot == kNone || !matches(command, slot)) continue;
    const auto id = index_.id_of(slot);
    if (!act(command, slot)) continue;
    ++command.affected;
    if (command.request.report && !command.request.reads())
      command.lines += std::move(Json{}.open('{').key("queue_id").text(to_string(id)).close('}')).line();
    if (command.lines.size() >= kReplyBytes) return true;
  }
  return true;
}

bool QueueCore::matches(const Command &command, MessageSlot slot) {
  const auto &m = index_.message(slot);
  SharedStored stored;
  for (const auto &[key, value] : command.request.match) {
    if (is_target(command.request, key)) continue;
    if (key == "state") {
      if (!names_state(value, name_of(index_.queue_of(slot)))) return false;
    } else if (key == "older") {
      if (steps_.age(m.arrival) < *parse_age(value)) return false;
    } else if (key == "destination") {
      bool any = false;
      for (auto g = m.groups; g != kNone && !any; g = index_.group(g).next) any = goes_to(g, value, stored);
      if (!any) return false;
    } else if (key == "transport") {
      bool any = false;
      for (auto g = m.groups; g != kNone && !any; g = index_.group(g).next) any = transport_of(g).name == value;
      if (!any) return false;
    } else {
      if (m.corrupt) return false;
      if (!stored) stored = peek(slot);
      if (!stored) return false;
      const auto *envelope = &stored->envelope;
      if (key == "sender") {
        if (!names_sender(value, envelope->sender)) return false;
        continue;
      }
      if (key == "tenant" || key == "campaign") {
        if ((key == "tenant" ? envelope->tenant : envelope->campaign) != value) return false;
        continue;
      }
      bool any = false;
      if (key == "source_pool") {
        index_.each_group(
            slot, [&](GroupSlot g) { any |= pool_of(g, *envelope) == value || scheduler_->chosen_pool(g) == value; });
        if (!any) return false;
        continue;
      }
      index_.each_group(slot, [&](GroupSlot g) {
        for (const auto &p : index_.group(g).recipients) {
          const auto &r = envelope->recipients[p.index];
          any |= key == "recipient" ? equals_nocase(r.address, value) || equals_nocase(r.original, value)
                                    : equals_nocase(split_address(r.address).domain, value);
        }
      });
      if (!any) return false;
    }
  }
  return true;
}

bool QueueCore::act(Command &command, MessageSlot slot) {
  const auto &verb = command.request.verb;
  auto &m = index_.message(slot);
  if (verb == "list") return command.lines += list_line(slot), true;
  if (verb == "why") return command.lines += why_line(command, slot), true;
  if (verb == "show") return command.lines += show_line(slot), true;
  if (m.deleted) return false;
  changing(slot);
  if (verb == "flush") return do_flush(slot, match_of(command, "destination"));
  log_.info("queue command applied", {{"qid", m.id}, {"verb", verb}, {"by", command.request.by}});
  if (verb == "hold") {
    if (m.held) return false;
    do_hold(slot, "held by " + (command.request.by.empty() ? std::string{"an operator"} : command.request.by));
  } else if (verb == "release") {
    if (!m.held) return false;
    do_release(slot);
  } else if (verb == "requeue") {
    do_requeue(slot);
  } else if (verb == "reroute" || verb == "rebind") {
    return do_rebind(command, slot);
  } else if (verb == "delete") {
    do_delete(slot);
  } else if (verb == "expire") {
    if (m.forced_expire) return false;
    do_expire(slot);
  }
  return true;
}

void QueueCore::do_hold(MessageSlot slot, const std::string &reason) {
  auto &m = index_.message(slot);
  m.held = true;
  index_.recount(slot);
  m.more().hold_reason = reason;
  journal_state(m);
  index_.each_group(slot, [&](GroupSlot g) {
    if (index_.group(g).state == GroupState::Leased) return;  // held when it comes back
    scheduler_->hold(g);
    index_.set_state(g, GroupState::Held);
  });
}

void QueueCore::do_release(MessageSlot slot) {
  auto &m = index_.message(slot);
  m.held = m.corrupt = false;
  index_.recount(slot);
  m.kills = 0;
  m.more().hold_reason.clear();
  set_released(m, !settings_->queue.policies.empty());
  journal_state(m);
  bool woken = false;
  index_.each_group(slot, [&](GroupSlot g) {
    scheduler_->set_alone(g, false);
    if (index_.group(g).state != GroupState::Held) return;
    scheduler_->set_due(g, clock_.mono());
    woken = true;
    if (may_schedule(g))
      schedule_new(g);
    else
      index_.set_state(g, GroupState::Parked);
  });
  if (woken) wake(m);
}

// As new: time stamp, route, warnings and hold begin again.
void QueueCore::do_requeue(MessageSlot slot) {
  auto &m = index_.message(slot);
  m.arrival = clock_.wall();
  m.requeued = true;
  m.held = m.forced_expire = m.expiry_logged = m.delay_warned = m.corrupt = false;
  index_.recount(slot);
  m.kills = 0;
  // What an egress process holds, or may hold since before our restart, is routed again when that is over.
  m.reroute = index_.counts(slot).leased > 0;
  index_.each_group(slot, [&](GroupSlot g) {
    const auto state = index_.group(g).state;
    m.reroute |= state == GroupState::Parked || (state == GroupState::Held && !may_schedule(g));
  });
  auto &extra = m.more();
  extra.hold_reason.clear();
  extra.undecided.clear();
  forget_pools(m);
  set_released(m, false);
  if (!extra.pool.empty()) {
    extra.pool.clear();
    journal(m, entry::pool(m.id, ""));
  }
  std::vector<std::pair<std::uint32_t, Route>> routes;
  index_.each_group(slot, [&](GroupSlot g) {
    for (const auto &p : index_.group(g).recipients) {
      routes.emplace_back(p.index, Route{});
      extra.routes[p.index] = Route{};
    }
  });
  journal_state(m);
  journal(m, entry::routes(m.id, routes));
  index_.each_group(slot, [&](GroupSlot g) {
    const auto state = index_.group(g).state;
    if (state == GroupState::Leased) return;
    if (state == GroupState::Parked || (state == GroupState::Held && !may_schedule(g)))
      index_.set_state(g, GroupState::Parked);
    else
      route_again(g);
  });
}

void QueueCore::do_delete(MessageSlot slot) {
  auto &m = index_.message(slot);
  m.deleted = true;
  if (index_.counts(slot).leased == 0) return settle(slot);
  journal_state(m);
  for (const auto &[lease, l] : leases_) {
    if (l.message != slot || l.routing) continue;
    if (auto *c = find(l.connection); c && c->link) c->link->send(wire::CancelLease{lease});
  }
}

// What was tried at least once goes back now; the rest after its next failed attempt.
void QueueCore::do_expire(MessageSlot slot) {
  auto &m = index_.message(slot);
  m.forced_expire = true;
  journal_state(m);
  const auto envelope = envelope_of(slot);
  if (!envelope) return;
  Batch batch;
  index_.each_group(slot, [&](GroupSlot g) {
    const auto &group = index_.group(g);
    if (group.attempts == 0 || group.state == GroupState::Leased || group.state == GroupState::Parked) return;
    expire_group(g, batch, *envelope);
    scheduler_->remove(g);
    index_.erase_group(g, reasons_);
  });
  if (batch.empty()) return;
  conclude(slot, std::move(batch));
}

}  // namespace mansio::queue
