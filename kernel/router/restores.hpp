// Restores: what this router is bringing back from stores, and what it brought back of late. A queue process that was
// started anew asks again for what its predecessor had asked for: while that is under way, or was committed a moment
// ago and neither it nor the store knows. Reading the copy once more would make a second message of it.
//
// Single-threaded.
#pragma once

#include <cstddef>
#include <deque>
#include <map>

#include "kernel/base/id.hpp"
#include "kernel/mail/store_key.hpp"

namespace mansio::router {

class Restores {
 public:
  explicit Restores(std::size_t most = 1000) : most_(most) {}

  // False: it is under way, or was restored.
  bool begin(const StoreKey &key) { return known_.try_emplace(key).second; }
  // As which message; none: it was not, or not for as long as this remembers.
  MessageId became(const StoreKey &key) const;
  // `id`: none if it was not committed; then it may begin anew.
  void ended(const StoreKey &key, MessageId id);

 private:
  const std::size_t most_;  // that are remembered when they are over; more than a queue asks for at once
  std::map<StoreKey, MessageId> known_;
  std::deque<StoreKey> remembered_;
};

}  // namespace mansio::router
