// FilterInstance: a filter or policy plugin at work, wherever its code runs.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "kernel/host/plugin.hpp"
#include "kernel/io/memfd.hpp"
#include "kernel/wire/filter_messages.hpp"

namespace mansio::host {

// A message that a filter may read.
struct FilterContent {
  io::Memfd file;
  std::shared_ptr<const void> keep{};
};

// All calls on the loop's thread, create() included.
class FilterInstance {
 public:
  using Done = std::function<void(wire::StageResult &&)>;

  // In this process; `kind`: kFilterKind or kPolicyKind.
  static Result<std::unique_ptr<FilterInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                        InstanceOptions options, const char *kind);
  virtual ~FilterInstance() = default;  // what is under way is never answered

  virtual std::uint64_t stages() const = 0;  // bit 1 << stage: what it wants to see; all of them while nobody knows
  // Changes when the plugin's memory is lost.
  virtual std::uint32_t incarnation() const = 0;
  // `done` runs once, on the loop, never inside plugin code, perhaps before this returns; with Failed when the plugin
  // does not answer within the call's time limit, fails or has too much to do. `progressed` runs each time that limit
  // begins anew. Returns the call's number, for cancel().
  virtual std::uint64_t start(wire::StageCall call, std::shared_ptr<const FilterContent> content, Done done,
                              std::function<void()> progressed = nullptr) = 0;
  // Nobody waits for it any more; a courtesy.
  virtual void cancel(std::uint64_t number) = 0;
  virtual void abort(const std::string &session, MessageId id) = 0;

  virtual std::size_t in_flight() const = 0;
  virtual std::uint64_t misbehaviours() const = 0;
  virtual void stats(const StatsSink &add) const = 0;
};

wire::StageResult stage_failure(std::string why);

}  // namespace mansio::host
