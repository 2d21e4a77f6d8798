// LookupInstance: a lookup plugin at work, wherever its code runs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/host/plugin.hpp"
#include "kernel/io/tables.hpp"

namespace mansio::host {

// All calls on the loop's thread, create() included.
class LookupInstance {
 public:
  using Done = std::function<void(const io::TableAnswer &)>;

  // In this process.
  static Result<std::unique_ptr<LookupInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                        InstanceOptions options);
  virtual ~LookupInstance() = default;  // what is under way is never answered
  // `done` runs once, on the loop, never inside plugin code, perhaps before this returns; with TryLater when the plugin
  // does not answer within `time_limit`, fails or has too much to do.
  virtual void lookup(std::string_view key, Nanos time_limit, Done done) = 0;
  virtual std::size_t in_flight() const = 0;
  virtual std::uint64_t misbehaviours() const = 0;
  virtual void stats(const StatsSink &add) const = 0;
};

io::TableAnswer lookup_failure(std::string why);

}  // namespace mansio::host
