// Guarded: an instance of a plugin that is asked questions, behind a breaker that its answers are judged for.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "kernel/host/breaker.hpp"
#include "kernel/host/instance.hpp"

namespace mansio::host {

class Guarded {
 public:
  struct Words {
    const char *label;      // as Instance has it
    const char *meanwhile;  // what becomes of those who would ask while the breaker is open
    const char *too_much;   // why nothing is asked beyond the limit
  };
  Guarded(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, Words words);

  Instance *operator->() { return &instance_; }
  const Instance *operator->() const { return &instance_; }

  struct Opened {
    std::uint64_t op = 0;  // as Instance::open() has it
    Nanos deadline = 0;
    const char *why_not = nullptr;  // with op 0
  };
  // An operation without a message. `done` is to call judge().
  Opened open(Nanos time_limit, std::function<void(Answer &&)> done);
  void judge(bool failed);

 private:
  const Clock &clock_;
  Logger &log_;
  const mansio_plugin &plugin_;
  const Words words_;
  const std::shared_ptr<const MessageSource> message_ = std::make_shared<const MessageSource>();  // empty
  Breaker breaker_;
  Instance instance_;  // last: it goes first
};

}  // namespace mansio::host
