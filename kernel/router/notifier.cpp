#include "kernel/router/notifier.hpp"

namespace mansio::router {
namespace {

dsn::Action action_of(wire::DsnKind kind, const wire::RecipientOutcome &outcome) {
  switch (kind) {
    case wire::DsnKind::Delay:
    case wire::DsnKind::PostmasterDelay:
      return dsn::Action::Delayed;
    // A next hop spoke SMTP and could not take over the duty to notify: relayed (RFC 3461 section 6.2.2). A
    // delivery into a mailbox has no remote MTA.
    case wire::DsnKind::Success:
      return outcome.remote_mta.empty() ? dsn::Action::Delivered : dsn::Action::Relayed;
    case wire::DsnKind::Failure:
    case wire::DsnKind::PostmasterCopy:
      break;
  }
  return dsn::Action::Failed;
}

dsn::Kind kind_of(wire::DsnKind kind) {
  switch (kind) {
    case wire::DsnKind::Delay:
      return dsn::Kind::Delay;
    case wire::DsnKind::Success:
      return dsn::Kind::Success;
    case wire::DsnKind::PostmasterCopy:
      return dsn::Kind::PostmasterCopy;
    case wire::DsnKind::PostmasterDelay:
      return dsn::Kind::PostmasterDelay;
    case wire::DsnKind::Failure:
      break;
  }
  return dsn::Kind::Failure;
}

}  // namespace

dsn::Input dsn_input(const wire::DsnRequest &request, const config::Settings &settings, Nanos now) {
  dsn::Input input;
  input.kind = kind_of(request.kind);
  input.reporting_mta = settings.myhostname;
  input.to = request.to;
  input.sender = request.sender;
  input.parent = request.parent;
  for (const auto &r : request.recipients) {
    const auto &o = r.outcome;
    input.recipients.push_back({r.address, r.original, r.orcpt, action_of(request.kind, o), o.enhanced, o.smtp_code,
                                o.text, o.remote_mta, request.last_attempt, request.will_retry_until});
  }
  input.ret = request.ret;
  input.envid = request.envid;
  input.arrival = request.arrival;
  input.now = now;
  input.smtputf8 = request.smtputf8;
  input.original_size = request.body.size;
  input.size_limit = settings.queue.bounce_size_limit;
  return input;
}

Envelope dsn_envelope(const wire::DsnRequest &request, const dsn::Notification &notification,
                      const config::Settings &settings, std::vector<Way> ways, std::uint32_t config_epoch, Nanos now) {
  Envelope envelope;
  // What goes to the postmaster has a sender of its own, so that its failure is recognised and ends there.
  if (request.kind == wire::DsnKind::PostmasterCopy || request.kind == wire::DsnKind::PostmasterDelay)
    envelope.sender = settings.double_bounce_address();
  for (auto &way : ways) {
    Recipient to;
    to.address = std::move(way.address);
    to.notify = kNotifyNever;
    to.route = static_cast<std::uint16_t>(envelope.routes.size());
    envelope.recipients.push_back(std::move(to));
    envelope.routes.push_back(std::move(way.route));
  }
  envelope.config_epoch = config_epoch;
  envelope.arrival = now;
  envelope.body = notification.body;
  envelope.body_type = notification.body_type;
  envelope.smtputf8 = notification.smtputf8;
  envelope.priority = request.priority;
  envelope.protocol = "internal";
  envelope.dsn_parent = request.parent;
  return envelope;
}

}  // namespace mansio::router
