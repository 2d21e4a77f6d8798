// RateInstance: a rate plugin at work, in a host process of its own: the queue process, which asks it, runs no foreign
// code.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernel/host/instance.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/wire/host_messages.hpp"
#include "mansio/draft/rate.h"

namespace mansio::host {

// All calls on the loop's thread, create() included.
class RateInstance final {
 public:
  using Done = std::function<void(wire::RateLease &&)>;

  static Result<std::unique_ptr<RateInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                      InstanceOptions options);
  // `done` runs once, on the loop, never inside plugin code, perhaps before this returns; with `failed` when the plugin
  // does not answer within the time limit, fails, has too much to do, or says what makes no sense.
  void lease(const wire::RateAsk &question, Done done);
  // The same of places; `failed` also where the plugin has none to give.
  void hold(const wire::RateHold &question, Done done);
  // `done` runs when the plugin has been told, or cannot be.
  void give_back(const wire::RateUnused &unused, std::function<void()> done);
  std::size_t in_flight() const { return instance_.in_flight(); }
  std::uint64_t misbehaviours() const { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const { instance_.stats(add); }

 private:
  RateInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options);
  Result<void> begin();
  // Calls the plugin, on a thread where it may block.
  void ask(std::uint64_t number, std::uint32_t want, Nanos deadline, Done done,
           std::function<void(std::uint64_t op)> call);
  void start(std::uint64_t op, const wire::RateAsk &ask, Nanos deadline) const;
  void start(std::uint64_t op, const wire::RateHold &ask, Nanos deadline) const;
  void tell(std::uint64_t op, const wire::RateUnused &unused);

  const Clock &clock_;
  const std::shared_ptr<const MessageSource> message_;  // none; every operation has one
  const mansio_rate *table_ = nullptr;
  Instance instance_;  // last: it goes first
};

// What a plugin's answer gives; `want`: what was asked for.
wire::RateLease rate_lease(Answer &&answer, std::uint32_t want);

}  // namespace mansio::host
