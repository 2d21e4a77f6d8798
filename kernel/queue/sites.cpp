// Sites: which hosts take the mail of a domain, for transports whose limits go by them. The router asks DNS; here
// nothing waits for it. A domain is its own site until there is an answer, and keeps the one it had while there is no
// new one.
#include <algorithm>
#include <iterator>

#include "kernel/queue/core.hpp"

namespace mansio::queue {
namespace {

constexpr Nanos kPatience = 60 * kSecond;  // before a question that had no answer is asked again
// A domain that moves takes its mail out of a line that may be long: not as often as its owner likes.
constexpr Nanos kLeastTtl = 300 * kSecond, kMostTtl = 3600 * kSecond;
constexpr std::size_t kMostToAsk = 100'000;  // what is beyond is asked for when its next delivery begins
constexpr std::size_t kAskedAtOnce = 100;    // each of at most 255 octets: they fit a frame

}  // namespace

void QueueCore::look_at_exchangers(scheduler::TransportId transport, scheduler::DestinationId destination) {
  if (!transports_[transport].asks_exchangers || domains_to_ask_.size() >= kMostToAsk) return;
  if (scheduler_->wants_exchangers(destination, clock_.mono(), kPatience))
    domains_to_ask_.emplace_back(scheduler_->nexthop_of(destination));
}

void QueueCore::ask_for_exchangers() {
  while (!domains_to_ask_.empty()) {
    auto *c = router();
    if (!c) return;
    const auto n = std::min(domains_to_ask_.size(), kAskedAtOnce);
    const auto end = domains_to_ask_.begin() + static_cast<std::ptrdiff_t>(n);
    wire::MxRequest request;
    request.domains.assign(std::make_move_iterator(domains_to_ask_.begin()), std::make_move_iterator(end));
    if (!c->link->send(request)) {
      std::move(request.domains.begin(), request.domains.end(), domains_to_ask_.begin());
      c->behind = true;
      return;
    }
    domains_to_ask_.erase(domains_to_ask_.begin(), end);
  }
}

void QueueCore::on_mx_reply(const wire::MxReply &reply) {
  const auto until = clock_.mono() + std::clamp(reply.ttl, kLeastTtl, kMostTtl);
  for (std::size_t t = 0; t < transports_.size(); ++t) {
    if (!transports_[t].asks_exchangers) continue;
    const auto id = scheduler_->find_destination(static_cast<scheduler::TransportId>(t), reply.domain);
    if (id) scheduler_->set_exchangers(*id, reply.exchangers, until);
  }
}

}  // namespace mansio::queue
