// StoreInstance: a store at work, in the host process that is its own. It is asked one thing at a time for each message
// by those who use it, and many messages at once.
//
// The crash marker is not set: a message on which a store crashes is not in the queue yet, or is done with.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernel/host/instance.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/wire/store_messages.hpp"
#include "mansio/draft/store.h"

namespace mansio::host {

inline constexpr std::uint64_t kStorePiece = 512 * 1024;  // of a message, read at once
inline constexpr std::uint32_t kStoreMostKeys = 1000;     // of a page

// All calls on the loop's thread, create() included.
class StoreInstance final {
 public:
  // Runs once, on the loop, never inside plugin code, perhaps before the call returns.
  using Done = std::function<void(Answer &&)>;

  static Result<std::unique_ptr<StoreInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                       InstanceOptions options);

  // `text` in an answer says why it is not OK. One that is too late, or for which there is no room, is INTERNAL.
  void commit(const StoreKey &key, MessageSource message, std::uint64_t length, Nanos time_limit, Done done);
  void outcome(const wire::StoreOutcome &outcome, Done done);
  // OK has two values: the octets, and the record of the newest outcome.
  void read(const StoreKey &key, std::uint64_t offset, std::uint64_t length, Nanos time_limit, Done done);
  void scan(const std::string &cursor, std::uint32_t most, Nanos time_limit, Done done);  // as in the ABI

  std::size_t in_flight() const { return instance_.in_flight(); }
  std::uint64_t misbehaviours() const { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const { instance_.stats(add); }

 private:
  StoreInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options);
  Result<void> begin();
  // `call(op, deadline)` is the plugin's function; it has what it passes to it in copies of its own.
  void start(std::shared_ptr<const MessageSource> message, Nanos time_limit, Done done,
             std::function<void(mansio_op op, Nanos deadline)> call);

  const Clock &clock_;
  const std::shared_ptr<const MessageSource> no_message_;
  const mansio_store *table_ = nullptr;
  Instance instance_;  // last: it goes first
};

}  // namespace mansio::host
