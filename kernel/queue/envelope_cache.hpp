// EnvelopeCache: what the spool holds of mail that is fresh or being delivered, so that the usual message never has it
// read back. Least recently used go first, and what is deferred goes at once; a lease keeps its own alive.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "kernel/mail/envelope.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::queue {

struct Stored {
  spool::Committed at;
  Envelope envelope;
};
using SharedStored = std::shared_ptr<const Stored>;

class EnvelopeCache {
 public:
  explicit EnvelopeCache(std::size_t limit) : limit_(limit) {}
  void limit(std::size_t limit) { limit_ = limit; }

  SharedStored find(MessageId id) {
    const auto at = by_id_.find(id);
    if (at == by_id_.end()) return nullptr;
    order_.splice(order_.begin(), order_, at->second);
    return at->second->second;
  }
  SharedStored put(SharedStored shared) {
    const auto id = shared->at.id;
    erase(id);
    order_.emplace_front(id, shared);
    by_id_.emplace(id, order_.begin());
    weight_ += weight(shared->envelope);
    while (order_.size() > 1 && weight_ > limit_) erase(order_.back().first);
    return shared;
  }
  void erase(MessageId id) {
    const auto at = by_id_.find(id);
    if (at == by_id_.end()) return;
    weight_ -= weight(at->second->second->envelope);
    order_.erase(at->second);
    by_id_.erase(at);
  }

 private:
  static std::size_t weight(const Envelope &e) { return 1 + e.recipients.size(); }  // as Postfix counts them

  using Order = std::list<std::pair<MessageId, SharedStored>>;
  Order order_;
  std::unordered_map<MessageId, Order::iterator> by_id_;
  std::size_t limit_, weight_ = 0;
};

}  // namespace mansio::queue
