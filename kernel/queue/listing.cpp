// Lists, and what an operator sees of a message: JSON lines with Postfix's postqueue -j keys and ours beside them.
#include <algorithm>

#include "kernel/queue/core.hpp"
#include "kernel/queue/json_line.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kKept = 8 * 1024 * 1024;  // of lines of a snapshot that nobody has taken yet

void put_place(Json &j, const spool::Place &p) {
  j.open('{').key("segment").number(p.segment).key("epoch").number(p.epoch).key("offset").number(p.offset);
  j.key("length").number(p.length).close('}');
}

}  // namespace

void QueueCore::take_snapshot(Command &command) {
  command.snapshot = true;
  command.listed.assign(index_.slots(), false);
  if (snapshots_++ == 0) index_.watch([this](MessageSlot slot, bool fresh) { changing(slot, fresh); });
}

// To be called before anything changes that a list shows of the message; `fresh`: it has just come.
void QueueCore::changing(MessageSlot slot, bool fresh) {
  if (snapshots_ == 0) return;
  for (auto &command : commands_) {
    if (!command.snapshot || slot < command.cursor || slot >= command.listed.size() || command.listed[slot]) continue;
    if (!fresh && command.lines.size() >= kKept) {
      command.late = true;
      continue;
    }
    command.listed[slot] = true;
    if (!fresh && matches(command, slot) && act(command, slot)) ++command.affected;
  }
}

void QueueCore::end_snapshots() {
  const auto left = std::count_if(commands_.begin(), commands_.end(), [](const Command &c) { return c.snapshot; });
  snapshots_ = static_cast<std::size_t>(left);
  if (snapshots_ == 0) index_.watch({});
}

std::string QueueCore::list_line(MessageSlot slot) {
  const auto &m = index_.message(slot);
  const auto stored = peek(slot);
  const auto *envelope = stored ? &stored->envelope : nullptr;
  Json j;
  j.open('{').key("queue_name").text(name_of(index_.queue_of(slot))).key("queue_id").text(to_string(m.id));
  j.key("arrival_time").number(m.arrival / kSecond);
  j.key("message_size").number(envelope ? envelope->body.size : m.size());
  const std::string_view sender = !envelope                  ? std::string_view{}
                                  : envelope->sender.empty() ? std::string_view{"MAILER-DAEMON"}
                                                             : std::string_view{envelope->sender};
  j.key("forced_expire").boolean(m.forced_expire).key("sender").text(sender);
  j.key("recipients").open('[');
  for (auto g = m.groups; g != kNone && envelope; g = index_.group(g).next)
    for (const auto &p : index_.group(g).recipients) {
      const auto &r = envelope->recipients[p.index];
      j.open('{').key("address").text(r.address);
      if (!r.original.empty() && r.original != r.address) j.key("orig_address").text(r.original);
      if (p.reason) j.key("delay_reason").text(reason_text(reasons_.get(p.reason)));
      j.close('}');
    }
  j.close(']');
  if (m.extra && !m.extra->hold_reason.empty()) j.key("hold_reason").text(m.extra->hold_reason);
  if (m.extra && !m.extra->intents.empty()) j.key("notifications").number(m.extra->intents.size());
  j.close('}');
  return std::move(j).line();
}

std::string QueueCore::show_line(MessageSlot slot) {
  const auto &m = index_.message(slot);
  const auto stored = peek(slot);
  const auto *envelope = stored ? &stored->envelope : nullptr;
  Json j;
  j.open('{').key("queue_name").text(name_of(index_.queue_of(slot))).key("queue_id").text(to_string(m.id));
  j.key("arrival_time").number(m.arrival / kSecond).key("arrival").text(rfc3339(m.arrival));
  j.key("forced_expire").boolean(m.forced_expire).key("delay_warned").boolean(m.delay_warned);
  j.key("possible_duplicate").boolean(m.possible_duplicate).key("worker_kills").number(static_cast<unsigned>(m.kills));
  if (m.extra && !m.extra->hold_reason.empty()) j.key("hold_reason").text(m.extra->hold_reason);
  if (m.extra && !m.extra->pool.empty()) j.key("source_pool").text(m.extra->pool);
  j.key("slices").open('[');
  if (stored) put_place(j, stored->at.body);
  j.close(']').key("envelope_place");
  put_place(j, stored ? stored->at.envelope : spool::Place{});
  if (envelope) {
    const auto &e = *envelope;
    j.key("message_size").number(e.body.size).key("sender").text(e.sender);
    j.key("envelope").open('{').key("client_address").text(e.client_address).key("client_name").text(e.client_name);
    j.key("helo").text(e.helo).key("protocol").text(e.protocol).key("tls_version").text(e.tls_version);
    j.key("auth_user").text(e.auth_user).key("auth_method").text(e.auth_method);
    j.key("auth_sender").text(e.auth_sender).key("listener").text(e.listener).key("envid").text(e.envid);
    if (!e.content_filter.empty()) j.key("content_filter").text(e.content_filter);
    if (e.origin) {
      j.key("origin").open('{').key("client_address").text(e.origin->address).key("client_name").text(e.origin->name);
      j.key("helo").text(e.origin->helo).key("protocol").text(e.origin->protocol);
      j.key("queue_id").text(e.origin->ident).close('}');
    }
    j.key("ret").text(e.ret == Ret::Full ? "FULL" : e.ret == Ret::Hdrs ? "HDRS" : "");
    j.key("body").text(e.body_type == BodyType::EightBitMime ? "8BITMIME" : "7BIT").key("smtputf8").boolean(e.smtputf8);
    j.key("require_tls").boolean(e.require_tls).key("hops").number(e.body.hops).key("tenant").text(e.tenant);
    j.key("campaign").text(e.campaign).key("source_pool").text(e.source_pool);
    j.key("priority").number(int{static_cast<std::int8_t>(e.priority)});
    j.key("recipients").number(e.recipients.size()).key("config_epoch").number(e.config_epoch);
    j.key("metadata").open('{');
    for (const auto &[key, value] : e.metadata) j.key(key).text(value);
    j.close('}').close('}');
  }
  j.key("groups").open('[');
  for (auto s = m.groups; s != kNone; s = index_.group(s).next) {
    const auto &g = index_.group(s);
    j.open('{').key("transport").text(transport_of(s).name).key("attempts").number(g.attempts);
    if (envelope && !g.recipients.empty())
      j.key("nexthop").text(route_of(m, *envelope, g.recipients.begin()->index).nexthop);
    put_why(j, s);
    j.key("recipients").open('[');
    for (const auto &p : g.recipients) {
      j.open('{');
      if (envelope) {
        const auto &r = envelope->recipients[p.index];
        j.key("address").text(r.address);
        if (!r.original.empty()) j.key("orig_address").text(r.original);
        if (!r.orcpt.empty()) j.key("orcpt").text(r.orcpt);
      }
      if (p.reason) {
        const auto reason = reasons_.get(p.reason);
        j.key("dsn").text(to_string(reason.enhanced)).key("delay_reason").text(reason_text(reason));
      }
      j.close('}');
    }
    j.close(']').close('}');
  }
  j.close(']').key("notifications").open('[');
  if (m.extra)
    for (const auto &i : m.extra->intents) {
      constexpr std::string_view kinds[] = {"failure", "delay", "success", "postmaster", "postmaster delay"};
      const auto kind = std::min(static_cast<std::size_t>(i.kind), std::size(kinds) - 1);
      j.open('{').key("event").number(i.event).key("kind").text(kinds[kind]);
      j.key("recipients").number(i.recipients.size()).close('}');
    }
  j.close(']').close('}');
  return std::move(j).line();
}

// From counters alone: it is asked for often, and the queue may be long.
std::string QueueCore::summary() const {
  const auto counts = scheduler_->counts();
  Json j;
  j.open('{').key("messages").number(index_.size()).key("bytes").number(index_.bytes());
  for (std::size_t i = 0; i < kQueueNames; ++i) {
    const auto name = static_cast<QueueName>(i);
    j.key(name_of(name)).number(index_.count(name));
  }
  j.key("leases").number(leases_.size());
  j.key("groups_ready").number(counts.ready).key("groups_deferred").number(counts.deferred);
  j.key("transports").open('{');
  for (std::size_t t = 0; t < transports_.size(); ++t)
    if (const auto groups = scheduler_->groups(static_cast<scheduler::TransportId>(t)); groups > 0)
      j.key(transports_[t].name).number(groups);
  j.close('}').close('}');
  return std::move(j).line();
}

}  // namespace mansio::queue
