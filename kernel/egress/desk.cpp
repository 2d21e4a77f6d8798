#include "kernel/egress/desk.hpp"

#include <algorithm>
#include <chrono>

namespace mansio::egress {
namespace {

constexpr std::size_t kMaxListed = 3500;                // leases in one part of an EgressHello, 16 bytes each
constexpr std::size_t kPartBytes = 40 * 1024;           // outcomes in one message, well below a frame
constexpr auto kRetry = std::chrono::milliseconds{10};  // when the queue does not take what we send

std::size_t bytes_of(const wire::RecipientOutcome &o) {
  return 64 + o.text.size() + o.remote_mta.size() + o.relay.size() + o.tls.size();
}

}  // namespace

Desk::Desk(asio::io_context &loop, Logger &log, std::string transport, std::uint32_t capacity)
    : loop_(loop), log_(log), name_(std::move(transport)), capacity_(capacity), retry_(loop) {}

Desk::~Desk() {
  if (channel_) channel_->close();
}

host::TransportInstance::Events Desk::events() {
  host::TransportInstance::Events events;
  events.recipient = [this](std::uint64_t lease, const wire::RecipientOutcome &o) { recipient(lease, o); };
  events.complete = [this](std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                           const std::string &destination) { complete(lease, last, site_failure, destination); };
  events.ended_with = [this](std::uint64_t lease, std::int32_t pid) {
    if (const auto i = held_.find(lease); i != held_.end() && !i->second.done) i->second.ended_with = pid;
  };
  return events;
}

// ---- the queue ---------------------------------------------------------------------------------------------------

void Desk::attach(std::shared_ptr<io::Channel> channel, std::function<void()> lost) {
  if (channel_) channel_->close();
  channel_ = std::move(channel);
  lost_ = std::move(lost);
  segments_.clear();  // what deliveries still read they hold themselves
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view why) {
                    if (channel_.get() != which) return;
                    log_.warn("the queue is gone", {{"transport", name_}, {"reason", why}, {"held", held_.size()}});
                    channel_ = nullptr;
                    check_idle();
                    if (lost_) lost_();
                  });
  hello();
  for (auto &[lease, held] : held_) {
    held.sent = 0;
    held.done_sent = false;
    if (held.done || !held.outcomes.empty()) changed_.insert(lease);
  }
  if (!changed_.empty()) flush_soon();
}

// Every lease is named, in as many parts as that takes: one that is not may be given to another at once. (A new channel
// takes far more than a full house of them.)
void Desk::hello() {
  wire::EgressHello part{name_, capacity_, {}, {}, true};
  for (const auto &[lease, held] : held_) {
    if (part.leases.size() == kMaxListed) {
      channel_->send(part);
      part.leases.clear();
      part.messages.clear();
    }
    part.leases.push_back(lease);
    part.messages.push_back(held.message);
  }
  part.more = false;
  channel_->send(part);
}

void Desk::receive(io::Message &m) {
  switch (m.type) {
    case wire::Lease::kType:
      return lease(m.payload);
    case wire::SegmentFd::kType:
      if (const auto s = decode<wire::SegmentFd>(m.payload); s && !m.fds.empty() && m.fds[0]) {
        segments_[{s->segment, s->epoch}] = std::make_shared<io::UniqueFd>(std::move(m.fds[0]));
      } else {
        log_.warn("a segment's descriptor was lost; raise the limit of open files", {{"transport", name_}});
        if (s) channel_->send(wire::ForgetSegment{s->segment, s->epoch});  // or the queue would not send it again
      }
      return;
    case wire::ForgetSegment::kType:
      if (const auto f = decode<wire::ForgetSegment>(m.payload)) segments_.erase({f->segment, f->epoch});
      return;
    case wire::OutcomesAck::kType:
      if (const auto ack = decode<wire::OutcomesAck>(m.payload)) acknowledged(*ack);
      return;
    case wire::CancelLease::kType:
      if (const auto c = decode<wire::CancelLease>(m.payload); c && transport_) transport_->cancel(c->lease);
      return;
    default:
      log_.warn("unknown message from the queue", {{"type", m.type}});
  }
}

void Desk::lease(std::string_view payload) {
  ++counters_.leases;
  const auto lease = decode<wire::Lease>(payload);
  if (!lease) {
    // Its first fields name it, with luck; then the queue need not wait for the deadline.
    Decoder d{payload};
    std::uint64_t number = 0;
    MessageId message;
    d(number, message);
    log_.error("a lease cannot be read", {{"transport", name_}, {"lease", number}});
    if (d.ok()) refuse(number, message, "internal error: the lease could not be read", true);
    return;
  }
  if (held_.contains(lease->lease)) {
    log_.error("a lease was given twice", {{"qid", lease->id}, {"lease", lease->lease}});
    return;
  }
  if (!transport_) return refuse(lease->lease, lease->id, "internal error: no transport");
  if (giving_up_) return refuse(lease->lease, lease->id, "the process is about to end");
  if (running_ >= capacity_)
    return refuse(lease->lease, lease->id, "internal error: more leases than the transport takes");
  auto message = source(*lease);
  if (!message) return refuse(lease->lease, lease->id, message.error().text);
  auto &held = held_[lease->lease];
  held.message = lease->id;
  for (const auto &r : lease->recipients) held.recipients.push_back(r.recipient);
  held.reported.resize(held.recipients.size());
  ++running_;
  transport_->start(*lease, std::move(*message));
}

// The descriptors stay open while the delivery may read, whatever the queue says meanwhile.
Result<host::MessageSource> Desk::source(const wire::Lease &lease) const {
  host::MessageSource source;
  auto keep = std::make_shared<std::vector<std::shared_ptr<io::UniqueFd>>>();
  for (const auto &slice : lease.slices) {
    const auto segment = segments_.find({slice.segment, slice.epoch});
    if (segment == segments_.end()) return Error{Status::Defer, "internal error: the message's descriptor was lost"};
    if (slice.length == 0) continue;
    source.slices.push_back({sizeof(mansio_slice), segment->second->get(), slice.offset, slice.length});
    if (keep->empty() || keep->back() != segment->second) keep->push_back(segment->second);
  }
  source.keep = std::move(keep);
  return source;
}

// Its recipients stay where they are. `tried`: and are deferred, as after an attempt, or they would come again at once.
void Desk::refuse(std::uint64_t lease, MessageId message, std::string reason, bool tried) {
  ++counters_.refused;
  log_.warn("lease refused", {{"qid", message}, {"transport", name_}, {"reason", reason}});
  auto [held, fresh] = held_.try_emplace(lease);
  if (!fresh) return;
  held->second.message = message;
  held->second.done = true;
  held->second.refused = !tried;
  held->second.reason = std::move(reason);
  changed(lease);
}

void Desk::acknowledged(const wire::OutcomesAck &ack) {
  for (const auto lease : ack.leases) {
    const auto i = held_.find(lease);
    if (i == held_.end() || !i->second.done_sent) continue;  // acknowledged is what we have said, all of it
    changed_.erase(lease);
    held_.erase(i);
  }
  check_idle();
}

// ---- the transport -----------------------------------------------------------------------------------------------

void Desk::recipient(std::uint64_t lease, const wire::RecipientOutcome &outcome) {
  const auto i = held_.find(lease);
  if (i == held_.end() || i->second.done || outcome.index >= i->second.recipients.size()) return;
  record(i->second, outcome);
  changed(lease);
}

void Desk::complete(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                    const std::string &destination) {
  const auto i = held_.find(lease);
  if (i == held_.end() || i->second.done) return;
  auto &held = i->second;
  for (std::uint32_t index = 0; index < held.recipients.size(); ++index) {
    if (held.reported[index]) continue;
    auto outcome = last;
    outcome.index = index;
    record(held, outcome);
  }
  held.done = true;
  held.site_failure = site_failure;
  held.destination = destination;
  if (site_failure) held.reason = last.text;
  --running_;
  changed(lease);
}

void Desk::defer(std::uint64_t lease, const wire::RecipientOutcome &why) {
  const auto i = held_.find(lease);
  if (i == held_.end() || i->second.done) return;
  i->second.no_feedback = true;
  complete(lease, why, false, {});
}

void Desk::turn_away(std::uint64_t lease, const wire::PolicyWord &word) {
  const auto i = held_.find(lease);
  if (i == held_.end() || i->second.done) return;
  auto &held = i->second;
  held.word = {word};
  held.no_feedback = true;
  if (word.action == wire::PolicyAction::Hold || word.action == wire::PolicyAction::Route) {
    held.done = true;
    --running_;
    return changed(lease);
  }
  const auto said = [&](std::string_view otherwise) { return word.text.empty() ? std::string{otherwise} : word.text; };
  wire::RecipientOutcome outcome;
  outcome.relay = "none";
  outcome.enhanced = word.enhanced;
  switch (word.action) {
    case wire::PolicyAction::Fail:
      outcome.status = wire::DeliveryStatus::Bounced;
      if (outcome.enhanced.empty()) outcome.enhanced = {5, 7, 1};
      outcome.text = said("Rejected by policy");
      break;
    case wire::PolicyAction::Discard:
      outcome.status = wire::DeliveryStatus::Sent;
      outcome.enhanced = {2, 0, 0};
      outcome.text = "discarded by " + word.policy + (word.text.empty() ? "" : ": " + word.text);
      outcome.relayed_dsn = true;  // nobody is told that it was delivered
      break;
    default:
      outcome.status = wire::DeliveryStatus::Deferred;
      if (outcome.enhanced.empty()) outcome.enhanced = {4, 7, 1};
      outcome.text = said("Deferred by policy");
  }
  complete(lease, outcome, false, {});
}

void Desk::record(Held &held, const wire::RecipientOutcome &outcome) {
  if (held.reported[outcome.index]) return;
  held.reported[outcome.index] = true;
  held.outcomes.push_back(outcome);
  // What the other end said itself is an answer all the same.
  if (held.cancelled && outcome.smtp_code == 0 &&
      (outcome.status == wire::DeliveryStatus::Deferred || outcome.status == wire::DeliveryStatus::Uncertain))
    held.interrupted = true;
  switch (outcome.status) {
    case wire::DeliveryStatus::Sent:
      ++counters_.sent;
      break;
    case wire::DeliveryStatus::Deferred:
      ++counters_.deferred;
      break;
    case wire::DeliveryStatus::Bounced:
      ++counters_.bounced;
      break;
    case wire::DeliveryStatus::Uncertain:
      ++counters_.uncertain;
      break;
  }
}

// ---- sending -----------------------------------------------------------------------------------------------------

void Desk::changed(std::uint64_t lease) {
  changed_.insert(lease);
  flush_soon();
}

void Desk::flush_soon() {
  if (flush_scheduled_ || !channel_) return;
  flush_scheduled_ = true;
  asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {
    if (alive.expired()) return;
    flush_scheduled_ = false;
    flush();
  });
}

void Desk::flush() {
  while (channel_ && !changed_.empty()) {
    const auto lease = *changed_.begin();
    if (const auto i = held_.find(lease); i != held_.end() && !send(lease, i->second)) {
      // The queue is far behind; nothing is lost meanwhile.
      retry_.expires_after(kRetry);
      retry_.async_wait([this, alive = std::weak_ptr{alive_}](ErrorCode e) {
        if (!e && !alive.expired()) flush_soon();
      });
      break;
    }
    changed_.erase(lease);
  }
  check_idle();
}

bool Desk::send(std::uint64_t lease, Held &held) {
  do {
    wire::Outcomes part;
    part.lease = lease;
    part.id = held.message;
    std::size_t bytes = 0, upto = held.sent;
    for (; upto < held.outcomes.size() && (bytes == 0 || bytes < kPartBytes); ++upto) {
      part.outcomes.push_back(held.outcomes[upto]);
      part.recipients.push_back(held.recipients[held.outcomes[upto].index]);
      bytes += bytes_of(held.outcomes[upto]);
    }
    part.done = held.done && upto == held.outcomes.size();
    part.site_failure = part.done && held.site_failure;
    part.refused = part.done && held.refused;
    part.no_feedback = held.no_feedback;
    part.interrupted = held.interrupted;
    if (part.done) part.reason = held.reason;
    if (part.done) part.destination = held.destination;
    if (part.done) part.ended_with = held.ended_with;
    if (part.done) part.word = held.word;
    if (!channel_->send(part)) return false;
    held.sent = upto;
    held.done_sent = part.done;
  } while (held.sent < held.outcomes.size());
  return true;
}

// ---- the end -----------------------------------------------------------------------------------------------------

void Desk::drain(std::function<void()> idle) {
  idle_ = std::move(idle);
  check_idle();
}

void Desk::cancel_all() {
  giving_up_ = true;
  std::vector<std::uint64_t> leases;
  for (auto &[lease, held] : held_) {
    if (held.done) continue;
    held.cancelled = true;
    leases.push_back(lease);
  }
  for (const auto lease : leases)
    if (transport_) transport_->cancel(lease);
}

void Desk::check_idle() {
  if (!idle_ || running_ > 0 || (channel_ && !held_.empty())) return;
  asio::post(loop_, [idle = std::move(idle_)] { idle(); });
  idle_ = nullptr;
}

}  // namespace mansio::egress
