// Commands: what the plugins of a process let an operator tell them (mansio/draft/services.h), by instance. An instance
// is there from its creation to its end; which commands it has, it knows itself.
//
// Single-threaded, on the loop. It outlives the instances.
#pragma once

#include <functional>
#include <vector>

#include "kernel/wire/process_messages.hpp"

namespace mansio::host {

class Instance;

class Commands {
 public:
  using Done = std::function<void(wire::PluginCalled &&)>;  // runs once, perhaps before the call returns

  Commands() = default;
  Commands(const Commands &) = delete;
  Commands &operator=(const Commands &) = delete;

  void add(Instance *instance) { instances_.push_back(instance); }
  void remove(const Instance *instance);
  // One that is not here is CalledStatus::NotHere.
  void call(const wire::PluginCall &call, const Done &done) const;

 private:
  std::vector<Instance *> instances_;
};

}  // namespace mansio::host
