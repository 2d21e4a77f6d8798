// A transport plugin in this process: leases as deliveries, replies as outcomes.
#include <fmt/format.h>

#include <map>

#include "kernel/host/instance.hpp"
#include "kernel/host/transport.hpp"

namespace mansio::host {
namespace {

std::uint32_t flags_of(const wire::Lease &lease) {
  std::uint32_t flags = 0;
  const auto set = [&](bool on, std::uint32_t flag) { flags |= on ? flag : 0; };
  set(lease.body.eight_bit, MANSIO_MSG_EIGHT_BIT);
  set(lease.body.eight_bit_header, MANSIO_MSG_EIGHT_BIT_HEADER);
  set(lease.body.leading_dots, MANSIO_MSG_LEADING_DOTS);
  set(lease.smtputf8, MANSIO_MSG_SMTPUTF8);
  set(lease.require_tls, MANSIO_MSG_REQUIRETLS);
  set(lease.body_type == BodyType::EightBitMime, MANSIO_MSG_BODY_8BITMIME);
  set(lease.possible_duplicate, MANSIO_MSG_POSSIBLE_DUPLICATE);
  return flags;
}

// Calls f(const mansio_delivery &), which borrows from the lease.
template <class F>
void with_delivery(const wire::Lease &lease, std::uint64_t length, F f) {
  std::vector<mansio_recipient> recipients(lease.recipients.size());
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const auto &from = lease.recipients[i];
    recipients[i] = {sizeof(mansio_recipient), from.notify, str(from.address), str(from.original), str(from.orcpt)};
  }
  std::vector<mansio_pair> metadata;
  metadata.reserve(lease.metadata.size());
  mansio_delivery d{};
  for (const auto &[name, value] : lease.metadata) {
    metadata.push_back({str(name), str(value)});
    if (name == wire::Lease::kTlsPolicy) d.tls_policy = str(value);
  }
  d.size = sizeof d;
  d.flags = flags_of(lease);
  const auto queue_id = to_string(lease.id);
  d.queue_id = str(queue_id);
  d.sender = str(lease.sender);
  d.nexthop = str(lease.nexthop);
  d.recipients = recipients.data();
  d.n_recipients = recipients.size();
  d.recipient_stride = sizeof(mansio_recipient);
  d.length = length;
  d.ret = static_cast<std::uint32_t>(lease.ret);
  d.envid = str(lease.envid);
  d.client_address = str(lease.client_address);
  d.client_name = str(lease.client_name);
  d.client_helo = str(lease.client_helo);
  d.source_pool = str(lease.source_pool);
  d.metadata = metadata.data();
  d.n_metadata = metadata.size();
  d.arrival = lease.arrival;
  d.deadline = lease.deadline;
  const auto &origin = lease.origin;
  d.origin_source = origin.local ? MANSIO_ORIGIN_LOCAL : MANSIO_ORIGIN_REMOTE;
  d.origin_port = origin.port;
  d.origin_address = str(origin.address);
  d.origin_name = str(origin.name);
  d.origin_helo = str(origin.helo);
  d.origin_protocol = str(origin.protocol);
  d.origin_ident = str(origin.ident);
  d.attempts = lease.attempts;
  d.sasl_method = str(lease.auth_method);
  d.sasl_username = str(lease.auth_user);
  d.sasl_sender = str(lease.auth_sender);
  f(d);
}

class TransportInProcess final : public TransportInstance {
 public:
  TransportInProcess(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, Events events)
      : events_(std::move(events)), instance_(around, plugin, std::move(options), "transport", instance_events()) {}

  Result<void> begin() {
    const auto table = instance_.begin(kTransportKind);
    if (!table) return table.error();
    table_ = static_cast<const mansio_transport *>(*table);
    if (!table_->start)
      return Error{Status::BadConfig, fmt::format("transport {}: the plugin has no start()", instance_.name())};
    instance_.on_cancel(table_->cancel);
    return {};
  }

  void start(const wire::Lease &lease, MessageSource message) override {
    std::uint64_t length = 0;
    for (const auto &slice : message.slices) length += slice.length;
    Operation operation;
    operation.lease = lease.lease;
    operation.message = lease.id;
    operation.recipients = lease.recipients.size();
    operation.reported.resize(lease.recipients.size());
    const auto op =
        instance_.open(std::move(operation), std::make_shared<const MessageSource>(std::move(message)), lease.deadline);
    if (op == 0) {
      const auto busy = delivery_failure(wire::DeliveryStatus::Deferred, "the transport has too much to do");
      if (events_.complete) events_.complete(lease.lease, busy, false, {});
      return;
    }
    by_lease_[lease.lease] = op;
    if (instance_.blocking()) {
      instance_.run_blocking(op, [this, op, length, copy = std::make_shared<const wire::Lease>(lease)] {
        with_delivery(*copy, length,
                      [&](const mansio_delivery &d) { table_->start(instance_.self(), mansio_op{op}, &d); });
      });
    } else {
      with_delivery(lease, length, [&](const mansio_delivery &d) {
        instance_.run(op, [&] { table_->start(instance_.self(), mansio_op{op}, &d); });
      });
    }
  }
  void cancel(std::uint64_t lease) override {
    if (const auto i = by_lease_.find(lease); i != by_lease_.end()) instance_.cancel(i->second);
  }
  std::size_t in_flight() const override { return instance_.in_flight(); }
  std::uint64_t misbehaviours() const override { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const override { instance_.stats(add); }

 private:
  Instance::Events instance_events() {
    Instance::Events e;
    e.recipient = [this](const Operation &operation, const wire::RecipientOutcome &outcome) {
      if (events_.recipient) events_.recipient(operation.lease, outcome);
    };
    e.complete = [this](const Operation &operation, Answer &&last) {
      by_lease_.erase(operation.lease);
      if (events_.complete)
        events_.complete(operation.lease, last.outcome, operation.site_failure || last.site_failure, last.destination);
    };
    // What it did before may have had its effect.
    e.trouble = [](std::string why) {
      Answer a;
      a.outcome = delivery_failure(wire::DeliveryStatus::Uncertain, "delivery: " + why);
      return a;
    };
    e.working_on = events_.working_on;
    return e;
  }

  Events events_;
  std::map<std::uint64_t, std::uint64_t> by_lease_;  // lease -> op
  const mansio_transport *table_ = nullptr;
  Instance instance_;  // last: it goes first
};

}  // namespace

wire::RecipientOutcome delivery_failure(wire::DeliveryStatus status, std::string why) {
  wire::RecipientOutcome o;
  o.status = status;
  o.enhanced = {4, 3, 0};
  o.text = std::move(why);
  o.relay = "none";
  o.plugin_failed = true;
  return o;
}

Result<std::unique_ptr<TransportInstance>> TransportInstance::create(const Surroundings &around,
                                                                     const mansio_plugin &plugin,
                                                                     InstanceOptions options, Events events) {
  auto instance = std::make_unique<TransportInProcess>(around, plugin, std::move(options), std::move(events));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<TransportInstance>{std::move(instance)};
}

}  // namespace mansio::host
