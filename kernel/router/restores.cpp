#include "kernel/router/restores.hpp"

namespace mansio::router {

MessageId Restores::became(const StoreKey &key) const {
  const auto at = known_.find(key);
  return at == known_.end() ? MessageId{} : at->second;
}

void Restores::ended(const StoreKey &key, MessageId id) {
  if (!id) {
    known_.erase(key);
    return;
  }
  known_[key] = id;
  remembered_.push_back(key);
  if (remembered_.size() <= most_) return;
  known_.erase(remembered_.front());
  remembered_.pop_front();
}

}  // namespace mansio::router
