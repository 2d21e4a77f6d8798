// Filters: the filter and policy instances of an ingress process, in it or as stubs of their own processes, and who of
// them watches the sessions of which listener.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/config/settings.hpp"
#include "kernel/host/filter.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {
class RemoteFilter;
}  // namespace mansio::host

namespace mansio::ingress {

class Recorder;

struct FilterLink {
  host::FilterInstance *instance = nullptr;
  std::string name;  // "policy.greylist"
  config::OnFailure on_failure = config::OnFailure::Defer;
  Nanos command_timeout = 0, content_timeout = 0;
  std::string plugin = {};  // "lua"
  bool isolated = false;    // in a process of its own
};

// Who watches the sessions of one listener, in the order in which they are asked.
struct FilterChain {
  std::string prefix;  // of the sessions' ids: no other process or generation has it
  std::vector<FilterLink> links;
  Recorder *recorder = nullptr;  // null: they are not recorded
  std::string listener = {};
};

class Filters {
 public:
  // `settings` outlives it, `around` too. Fails where the configuration of an instance in this process is to blame; one
  // that fails to start otherwise is tried again later (kernel/host/late_start.hpp).
  static Result<std::unique_ptr<Filters>> create(const config::Settings &settings, const std::string &plugin_dir,
                                                 const host::Surroundings &around);
  ~Filters();

  // Null: nobody watches that listener, and nothing records its sessions. `prefix`: as in FilterChain.
  std::shared_ptr<const FilterChain> chain(const config::Listener &listener, std::string prefix,
                                           Recorder *recorder) const;
  // A channel to the host process of that name ("host.filter.NAME"); false: it hosts none of these.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);
  static bool any_here(const config::Settings &settings);  // some plugin's code runs in this process
  void stats(const host::StatsSink &add) const;

 private:
  Filters() = default;

  struct Instance {
    std::unique_ptr<host::FilterInstance> instance;
    host::RemoteFilter *remote = nullptr;  // the same, when it is one
    const config::Filter *settings = nullptr;
  };
  std::map<std::string, Instance, std::less<>> instances_;  // by "filter.NAME", "policy.NAME"
};

}  // namespace mansio::ingress
