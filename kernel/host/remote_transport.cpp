#include <fmt/format.h>
#include <sys/sendfile.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernel/host/patience.hpp"
#include "kernel/host/remote.hpp"
#include "kernel/host/reply.hpp"
#include "kernel/io/memfd.hpp"

namespace mansio::host {
namespace {

// The plugin's host ends the delivery at its deadline; this is for one that does not.
constexpr Nanos kDeliveryGrace = kSecond;

}  // namespace

Result<io::UniqueFd> sealed_message(const MessageSource &message) {
  auto memfd = io::Memfd::create("message");
  if (!memfd) return memfd.error();
  for (const auto &slice : message.slices) {
    auto offset = static_cast<off_t>(slice.offset);
    auto left = slice.length;
    while (left > 0) {
      const auto n = ::sendfile(memfd->get(), slice.fd, &offset, left);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0)
        return Error{Status::Defer, n == 0 ? std::string{"the spool ends before the message"}
                                           : std::string{"copy of the message: "} + std::strerror(errno)};
      left -= static_cast<std::uint64_t>(n);
    }
  }
  return std::move(*memfd).seal();
}

RemoteTransport::RemoteTransport(asio::io_context &loop, const Clock &clock, Logger &log, std::string name,
                                 Events events)
    : clock_(clock), log_(log), name_(std::move(name)), events_(std::move(events)), timers_(loop) {}

RemoteTransport::~RemoteTransport() {
  if (channel_) channel_->close();
}

void RemoteTransport::attach(std::shared_ptr<io::Channel> channel, std::int32_t pid) {
  if (channel_) channel_->close();
  channel_ = nullptr;
  fail_all();
  channel_ = std::move(channel);
  pid_ = pid;
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view) {
                    if (channel_.get() != which) return;
                    channel_ = nullptr;
                    fail_all();
                  });
  const auto waiting = std::exchange(waiting_, {});
  for (const auto &[number, w] : waiting) {
    timers_.cancel(w.timer);
    start(w.lease, w.message);
  }
}

void RemoteTransport::start(const wire::Lease &lease, MessageSource message) {
  if (!channel_) {
    const auto timer = timers_.add(kReturns, [this, number = lease.lease] {
      waiting_.erase(number);
      refuse(number, "the transport's process is not there");
    });
    waiting_.emplace(lease.lease, Waiting{lease, std::move(message), timer});
    return;
  }
  auto content = sealed_message(message);
  if (!content) return refuse(lease.lease, content.error().text);
  std::vector<io::UniqueFd> fds;
  fds.push_back(std::move(*content));
  if (!channel_->send(lease, std::move(fds))) return refuse(lease.lease, "the transport's process is far behind");
  ++metrics_.host.operations;
  auto &pending = pending_[lease.lease];
  pending.started = clock_.mono();
  pending.reported.resize(lease.recipients.size());
  if (lease.deadline > 0)
    pending.timer = timers_.add(lease.deadline - pending.started + kDeliveryGrace, [this, number = lease.lease] {
      ++metrics_.host.timed_out;
      end(number, delivery_failure(wire::DeliveryStatus::Uncertain, "delivery: time limit exceeded"), false, {});
    });
}

void RemoteTransport::refuse(std::uint64_t lease, std::string why) {
  ++metrics_.host.refused;
  if (events_.complete)
    events_.complete(lease, delivery_failure(wire::DeliveryStatus::Deferred, std::move(why)), false, {});
}

void RemoteTransport::cancel(std::uint64_t lease) {
  if (auto node = waiting_.extract(lease)) {
    timers_.cancel(node.mapped().timer);
    return refuse(lease, "cancelled before it began");
  }
  if (channel_ && pending_.contains(lease)) channel_->send(wire::DeliveryCancel{lease});
}

void RemoteTransport::receive(io::Message &m) {
  switch (m.type) {
    case wire::DeliveryRecipient::kType: {
      auto r = decode<wire::DeliveryRecipient>(m.payload);
      if (!r) return;
      const auto i = pending_.find(r->lease);
      if (i == pending_.end() || r->outcome.index >= i->second.reported.size()) return;
      if (i->second.reported[r->outcome.index]) return;
      i->second.reported[r->outcome.index] = true;
      make_safe(r->outcome);
      if (events_.recipient) events_.recipient(r->lease, r->outcome);
      return;
    }
    case wire::DeliveryDone::kType:
      if (auto d = decode<wire::DeliveryDone>(m.payload)) {
        make_safe(d->last);
        end(d->lease, d->last, d->site_failure, safe_name(d->destination));
      }
      return;
    default:
      return;
  }
}

void RemoteTransport::end(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                          const std::string &destination) {
  auto node = pending_.extract(lease);
  if (node.empty()) {
    ++metrics_.host.late;
    return;
  }
  timers_.cancel(node.mapped().timer);
  metrics_.host.busy += clock_.mono() - node.mapped().started;
  if (last.plugin_failed) ++metrics_.host.failed;
  if (events_.complete) events_.complete(lease, last, site_failure, destination);
}

// What the plugin had in hand may have been delivered.
void RemoteTransport::fail_all() {
  if (pending_.empty()) return;
  log_.warn("the transport's process ended with deliveries under way",
            {{"transport", name_}, {"deliveries", pending_.size()}});
  std::vector<std::uint64_t> all;
  all.reserve(pending_.size());
  for (const auto &[lease, pending] : pending_) all.push_back(lease);
  const auto last = delivery_failure(wire::DeliveryStatus::Uncertain, "the transport's process ended");
  for (const auto lease : all) {
    if (events_.ended_with) events_.ended_with(lease, pid_);
    end(lease, last, false, {});
  }
}

void RemoteTransport::stats(const StatsSink &add) const {
  metrics_.stats(fmt::format("{{transport=\"{}\",isolation=\"process\"}}", name_), pending_.size(), add);
}

}  // namespace mansio::host
