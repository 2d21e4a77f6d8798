// EnvelopeCache: the envelopes of mail that is fresh or being delivered, so that the usual message never has its
// envelope read back from the spool. Least recently used go first; a lease keeps its own alive.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "kernel/mail/envelope.hpp"

namespace mansio::queue {

class EnvelopeCache {
 public:
  explicit EnvelopeCache(std::size_t limit) : limit_(limit) {}
  void limit(std::size_t limit) { limit_ = limit; }

  std::shared_ptr<const Envelope> find(MessageId id) {
    const auto at = by_id_.find(id);
    if (at == by_id_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return at->second->second;
  }
  std::shared_ptr<const Envelope> put(MessageId id, Envelope &&envelope) {
    auto shared = std::make_shared<const Envelope>(std::move(envelope));
    erase(id);
    order_.emplace_front(id, shared);
    by_id_.emplace(id, order_.begin());
    weight_ += weight(*shared);
    while (order_.size() > 1 && weight_ > limit_) erase(order_.back().first);
    return shared;
  }
  void erase(MessageId id) {
    const auto at = by_id_.find(id);
    if (at == by_id_.end()) return;
    weight_ -= weight(*at->second->second);
    order_.erase(at->second);
    by_id_.erase(at);
  }

 private:
  static std::size_t weight(const Envelope &e) { return 1 + e.recipients.size(); }  // as Postfix counts them

  using Order = std::list<std::pair<MessageId, std::shared_ptr<const Envelope>>>;
  Order order_;
  std::unordered_map<MessageId, Order::iterator> by_id_;
  std::size_t limit_, weight_ = 0;
};

}  // namespace mansio::queue
