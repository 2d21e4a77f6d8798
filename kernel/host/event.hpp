// EventInstance: an event plugin at work, in the host process that is its own. It hears of one event after the other,
// and nothing waits for it but the next event.
//
// The crash marker is not set: a message of which a plugin heard, and ended, has done nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "kernel/host/instance.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/wire/event_messages.hpp"
#include "mansio/draft/event.h"

namespace mansio::host {

// All calls on the loop's thread, create() included.
class EventInstance {
 public:
  static Result<std::unique_ptr<EventInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                       InstanceOptions options);

  std::uint64_t wanted() const { return wanted_; }  // bit_of() of the events that it wants to hear of
  void notify(const wire::Event &event);            // of others it does not hear
  std::uint64_t misbehaviours() const { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const { instance_.stats(add); }

 private:
  EventInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options);
  Result<void> begin();

  const Clock &clock_;
  const mansio_event_sink *table_ = nullptr;
  std::uint64_t wanted_ = 0;
  std::vector<mansio_pair> fields_;  // of the event at hand; keeps its memory
  Instance instance_;                // last: it goes first
};

}  // namespace mansio::host
