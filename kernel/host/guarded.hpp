// Guarded: an instance of a plugin that is asked questions, behind breakers that its answers are judged for: one, or
// one for each part of what it does where the parts fail by themselves; and the supervisor's, for processes that its
// code ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "kernel/host/breaker.hpp"
#include "kernel/host/instance.hpp"
#include "kernel/host/rest.hpp"

namespace mansio::host {

class Guarded {
 public:
  struct Words {
    const char *label;      // as Instance has it
    const char *meanwhile;  // what becomes of those who would ask while the breaker is open
    const char *too_much;   // why nothing is asked beyond the limit
  };
  Guarded(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, Words words,
          std::size_t parts = 1);

  Instance *operator->() { return &instance_; }
  const Instance *operator->() const { return &instance_; }

  // Instance::begin(), unless it is to rest.
  Result<const void *> begin(const char *kind);

  struct Opened {
    std::uint64_t op = 0;  // as Instance::open() has it
    Nanos deadline = 0;
    const char *why_not = nullptr;  // with op 0
  };
  struct Question {
    Operation operation;  // whose `done` is to call judge() or not_judged()
    std::shared_ptr<const MessageSource> message;
    std::shared_ptr<StageWork> work{};
    std::size_t part = 0;       // whose breaker it is about
    std::uint64_t part_of = 0;  // Breaker::allows()
  };
  Opened open(Question question, Nanos time_limit);
  // An operation without a message.
  Opened open(Nanos time_limit, std::function<void(Answer &&)> done);

  // `why`: of a failure, for the log; `stage`: what was asked, where the plugin has several parts.
  void judge(bool failed, std::string_view why, std::size_t part = 0, std::string_view stage = {});
  // Nobody waited for the answer.
  void not_judged(std::size_t part) {
    rest_.not_recovered();
    breakers_[part].not_begun();
  }

  void stats(const StatsSink &add) const;

 private:
  const Clock &clock_;
  Logger &log_;
  const mansio_plugin &plugin_;
  const Words words_;
  const std::shared_ptr<const MessageSource> nothing_ = std::make_shared<const MessageSource>();
  std::vector<Breaker> breakers_;
  std::uint64_t times_opened_ = 0;
  Rest rest_;
  Instance instance_;  // last: it goes first
};

}  // namespace mansio::host
