// The delivery process: it reads what it is leased through its own descriptors, reports at random, in one piece or as
// if answers came one by one, refuses some leases and gives others up, and keeps every outcome until the queue has said
// that it is on stable storage.
#include <algorithm>

#include "tests/powercut/machine.hpp"

namespace mansio::test {

EgressProcess::EgressProcess(World &world, Random &random, FaultFiles &disk, const Clock &clock, TailSink &sink,
                             wire::Peer p)
    : Process(disk, clock, sink, p.name), world_(world), random_(random), events_(sink.events) {
  peer = std::move(p);
}

void EgressProcess::attached() {
  wire::EgressHello hello;
  hello.transport = "smtp";
  hello.capacity = 20;
  const auto name = [&](std::uint64_t lease, MessageId id) {
    hello.leases.push_back(lease);
    hello.messages.push_back(id);
  };
  for (const auto &[lease, running] : running_) name(lease, running.lease.id);
  for (const auto &[lease, outcomes] : kept_)
    if (!running_.contains(lease)) name(lease, outcomes.front().id);
  to_queue->send(hello);
  for (const auto &[lease, outcomes] : kept_)
    for (const auto &o : outcomes) to_queue->send(o);
}

EgressProcess::~EgressProcess() { die(); }

void EgressProcess::die() {
  files.kill();
  // Of what was under way some had reached its next hop.
  for (const auto &[number, running] : running_)
    for (auto i = running.told; i < running.lease.recipients.size(); ++i)
      if (random_() % 2) world_.delivered(running.lease.id, running.lease.recipients[i].recipient);
  segments_.clear();
  running_.clear();
  kept_.clear();
}

void EgressProcess::lost() {
  to_queue.reset();
  from_queue.reset();
}

void EgressProcess::receive(Frame &frame) {
  switch (frame.type) {
    case wire::SegmentFd::kType: {
      const auto s = *decode<wire::SegmentFd>(frame.payload);
      segments_[{s.segment, s.epoch}] = files.adopt(std::move(frame.fds.at(0)), "leased");
      return;
    }
    case wire::ForgetSegment::kType: {
      const auto s = *decode<wire::ForgetSegment>(frame.payload);
      segments_.erase({s.segment, s.epoch});
      return;
    }
    case wire::Lease::kType: {
      auto lease = *decode<wire::Lease>(frame.payload);
      const auto recipients = static_cast<std::uint32_t>(lease.recipients.size());
      if (!only_success_ && random_() % 32 == 0) return refuse(lease);
      std::string bytes;
      std::vector<std::shared_ptr<io::File>> held;
      for (const auto &slice : lease.slices) {
        const auto file = segments_.find({slice.segment, slice.epoch});
        if (file == segments_.end()) throw Failure{"a lease without its segment: " + to_string(lease.id)};
        std::string part(slice.length, '\0');
        const auto n = file->second->read_at(slice.offset, part.data(), part.size());
        if (!n) return report(lease, 0, recipients, How::Deferred);
        bytes += part;
        held.push_back(file->second);
      }
      world_.leased(lease, bytes);
      const auto number = lease.lease;
      running_[number] = {std::move(lease), std::move(held), 0};
      return;
    }
    case wire::OutcomesAck::kType:
      for (const auto acks = *decode<wire::OutcomesAck>(frame.payload); const auto lease : acks.leases) {
        for (const auto &o : kept_[lease]) world_.acknowledged(o);
        kept_.erase(lease);
      }
      return;
    default:
      return;
  }
}

bool EgressProcess::work(bool only_success) {
  only_success_ = only_success;
  if (running_.empty()) return false;
  auto at = running_.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(random_() % running_.size()));
  auto &[lease, held, told] = at->second;
  // The bytes must still be there when they are used, however long that takes, and whatever the queue has said of the
  // segment: as in the real process a delivery holds what it reads.
  for (std::size_t i = 0; i < lease.slices.size(); ++i) {
    const auto &slice = lease.slices[i];
    std::string part(slice.length, '\0');
    const auto n = held[i]->read_at(slice.offset, part.data(), part.size());
    if (n && world_.mail.at(lease.id).bytes != part)
      throw Failure{"the bytes changed under a reader: " + to_string(lease.id)};
  }
  const auto all = static_cast<std::uint32_t>(lease.recipients.size());
  const auto left = all - told;
  auto how = only_success ? How::Sent : How::Any;
  auto upto = all;
  if (!only_success && random_() % 16 == 0)
    how = How::GivenUp;
  else if (left > 1 && random_() % 3 == 0)
    upto = told + 1 + static_cast<std::uint32_t>(random_() % (left - 1));
  report(lease, told, upto, how);
  told = upto;
  if (upto == all)
    running_.erase(at);
  else
    ++events_.in_parts;
  return true;
}

void EgressProcess::report(const wire::Lease &lease, std::uint32_t from, std::uint32_t upto, How how) {
  wire::Outcomes o;
  o.lease = lease.lease;
  o.id = lease.id;
  o.done = upto == lease.recipients.size();
  o.interrupted = how == How::GivenUp;
  events_.given_up += o.interrupted;
  for (auto i = from; i < upto; ++i) {
    const auto recipient = lease.recipients[i].recipient;
    wire::RecipientOutcome outcome;
    outcome.index = i;
    outcome.enhanced = {2, 0, 0};
    auto choice = random_() % 20;
    if (how == How::Sent) choice = 0;
    if (how == How::Deferred) choice = 12;
    if (how == How::GivenUp) choice = choice % 2 != 0 ? 12u : 19u;
    if (choice >= 19) {
      outcome.status = wire::DeliveryStatus::Uncertain;
      outcome.enhanced = {4, 4, 2};
    } else if (choice >= 17) {
      outcome.status = wire::DeliveryStatus::Bounced;
      outcome.enhanced = {5, 1, 1};
    } else if (choice >= 12) {
      outcome.status = wire::DeliveryStatus::Deferred;
      outcome.enhanced = {4, 2, 0};
    } else {
      outcome.status = wire::DeliveryStatus::Sent;
      world_.delivered(lease.id, recipient);
    }
    o.recipients.push_back(recipient);
    o.outcomes.push_back(std::move(outcome));
  }
  kept_[o.lease].push_back(o);
  if (to_queue) to_queue->send(o);
}

// It has no room, or is about to end: nobody was asked anything.
void EgressProcess::refuse(const wire::Lease &lease) {
  ++events_.refused;
  wire::Outcomes o;
  o.lease = lease.lease;
  o.id = lease.id;
  o.done = o.refused = true;
  kept_[o.lease].push_back(o);
  if (to_queue) to_queue->send(o);
}

}  // namespace mansio::test
