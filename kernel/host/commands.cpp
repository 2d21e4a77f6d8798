#include "kernel/host/commands.hpp"

#include <algorithm>

#include "kernel/host/instance.hpp"

namespace mansio::host {

void Commands::remove(const Instance *instance) {
  std::erase_if(instances_, [&](const Instance *one) { return one == instance; });
}

void Commands::call(const wire::PluginCall &call, const Done &done) const {
  const auto found =
      std::ranges::find_if(instances_, [&](const Instance *one) { return one->address() == call.instance; });
  if (found == instances_.end()) return done({});
  (*found)->call_command(call, done);
}

}  // namespace mansio::host
