// TransportInstance: a transport plugin at work, wherever its code runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernel/host/plugin.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::host {

// All calls on the loop's thread, create() included; callbacks run on it too, never inside plugin code. They may come
// before start() returns, but complete() comes exactly once a start().
class TransportInstance {
 public:
  struct Events {
    std::function<void(std::uint64_t lease, const wire::RecipientOutcome &)> recipient;
    // Every recipient not reported before takes `status`/text of `last`.
    // `destination`: where a connection stays open and idle; "" = nowhere.
    std::function<void(std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                       const std::string &destination)>
        complete;
    // The plugin's own process ended while it had that delivery; complete() follows. `pid`: which process.
    std::function<void(std::uint64_t lease, std::int32_t pid)> ended_with;
    // Called with the message's id (0 = unknown) before and with 0 after each call into plugin code.
    std::function<void(std::uint64_t message)> working_on;
  };
  // In this process.
  static Result<std::unique_ptr<TransportInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options, Events events);
  virtual ~TransportInstance() = default;
  virtual void start(const wire::Lease &lease, MessageSource message) = 0;
  virtual void cancel(std::uint64_t lease) = 0;
  virtual std::size_t in_flight() const = 0;
  virtual std::uint64_t misbehaviours() const = 0;  // second, late or unknown answers, exceptions: ignored but counted
  virtual void stats(const StatsSink &add) const = 0;
};

// Of all recipients, when the plugin has not answered for them.
wire::RecipientOutcome delivery_failure(wire::DeliveryStatus status, std::string why);

}  // namespace mansio::host
