// What event plugins are told of messages: the same facts as the log's, under the same names, for those that want them.
#include <string>
#include <utility>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr std::size_t kLongestValue = 4096;  // of one detail; what a server says may be long

// Details without value are left out.
void put(wire::Event &event, const char *name, std::string_view value) {
  if (!value.empty()) event.details.emplace_back(name, value.substr(0, kLongestValue));
}
void put(wire::Event &event, const char *name, std::uint64_t value) { put(event, name, std::to_string(value)); }
void put(wire::Event &event, const char *name, bool value) {
  if (value) put(event, name, std::string_view{"true"});
}

wire::EventKind kind_of(const DeliveryLine &line) {
  if (line.expired) return wire::EventKind::Bounced;
  switch (line.outcome.status) {
    case wire::DeliveryStatus::Sent:
      return wire::EventKind::Delivered;
    case wire::DeliveryStatus::Bounced:
      return wire::EventKind::Bounced;
    case wire::DeliveryStatus::Deferred:
    case wire::DeliveryStatus::Uncertain:
      break;
  }
  return wire::EventKind::Deferred;
}

}  // namespace

void QueueCore::report(const DeliveryLine &line) {
  delivery_log_.delivery(line);
  const auto kind = kind_of(line);
  if (!events_.wants(kind)) return;
  const auto &o = line.outcome;
  const auto words = words_of(line);
  wire::Event event{kind, 0, line.id, line.recipient.address, {}};
  put(event, "from", line.envelope.sender);
  put(event, "orig_to", line.recipient.original);
  put(event, "transport", line.transport);
  put(event, "relay", words.relay);
  if (o.connection_use > 1) put(event, "conn_use", std::uint64_t{o.connection_use});
  put(event, "delay", words.delay);
  put(event, "delays", words.delays);
  put(event, "tls", o.tls);
  put(event, "dsn", words.dsn);
  put(event, "status", words.status);
  put(event, "text", words.text);
  put(event, "size", line.envelope.body.size);
  put(event, "tenant", line.envelope.tenant);
  put(event, "campaign", line.envelope.campaign);
  put(event, "uncertain", o.status == wire::DeliveryStatus::Uncertain);
  put(event, "possible_duplicate", line.possible_duplicate);
  events_.add(std::move(event));
}

void QueueCore::tell_inserted(MessageId id, const Envelope &e) {
  if (events_.wants(wire::EventKind::Inserted)) {
    wire::Event event{wire::EventKind::Inserted, 0, id, {}, {}};
    put(event, "from", e.sender);
    put(event, "size", e.body.size);
    put(event, "nrcpt", std::uint64_t{e.recipients.size()});
    put(event, "client_address", e.client_address);
    put(event, "client_name", e.client_name);
    put(event, "helo", e.helo);
    put(event, "protocol", e.protocol);
    put(event, "tls", e.tls_version);
    put(event, "sasl_username", e.auth_user);
    put(event, "listener", e.listener);
    put(event, "tenant", e.tenant);
    put(event, "campaign", e.campaign);
    if (e.dsn_parent.id) put(event, "parent", to_string(e.dsn_parent.id));
    events_.add(std::move(event));
  }
  // Where a policy has a say in its way, that is told when it has spoken.
  if (!events_.wants(wire::EventKind::Routed) || policy_wants(wire::QueueStage::Route)) return;
  for (const auto &recipient : e.recipients)
    if (recipient.route < e.routes.size()) tell_routed(id, recipient, e.routes[recipient.route]);
}

void QueueCore::tell_routed(MessageId id, const Recipient &recipient, const Route &route) {
  if (!events_.wants(wire::EventKind::Routed)) return;
  wire::Event event{wire::EventKind::Routed, 0, id, recipient.address, {}};
  put(event, "transport", route.transport);
  put(event, "nexthop", route.nexthop);
  events_.add(std::move(event));
}

void QueueCore::tell_delivering(const LeaseState &lease, const wire::Lease &sent, const Connection &to) {
  if (!events_.wants(wire::EventKind::Delivering)) return;
  for (const auto &recipient : sent.recipients) {
    wire::Event event{wire::EventKind::Delivering, 0, sent.id, recipient.address, {}};
    put(event, "from", sent.sender);
    put(event, "transport", transport_of(lease.group).name);
    put(event, "nexthop", sent.nexthop);
    put(event, "process", to.peer.name);
    put(event, "attempt", std::uint64_t{index_.group(lease.group).attempts} + 1);
    put(event, "possible_duplicate", sent.possible_duplicate);
    events_.add(std::move(event));
  }
}

void QueueCore::tell_removed(const Message &m) {
  if (!events_.wants(wire::EventKind::Removed)) return;
  wire::Event event{wire::EventKind::Removed, 0, m.id, {}, {}};
  put(event, "delay", format_delay(clock_.wall() - m.arrival));
  put(event, "deleted", m.deleted);
  events_.add(std::move(event));
}

}  // namespace mansio::queue
