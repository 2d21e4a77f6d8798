// A table of the configuration that has a plugin, [lookup.NAME] or another, made ready for an instance: the plugin
// opened, its options checked, and the facts put together, which are the same in whatever process it runs; and what an
// instance in a process has around it.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "kernel/config/settings.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/process/role.hpp"

namespace mansio::host {

// What all such tables have. Borrows from one.
struct PluginTable {
  template <class T>
  PluginTable(const T &table) : name(table.name), plugin(table.plugin), options(table.options), budget(table.budget) {}

  const std::string &name, &plugin;
  const std::map<std::string, std::string> &options;
  const config::Budget &budget;
};

struct Configured {
  const mansio_plugin &plugin;  // which stays
  InstanceOptions options;
};

// `shown`: what a problem with the options calls the table.
Result<Configured> load_configured(const PluginTable &table, std::string_view shown, const std::string &plugin_dir,
                                   const config::Settings &settings);
// The same for a process that runs this plugin and no other, which alone can keep state: its fact "state_directory".
Result<Configured> load_alone(const PluginTable &table, std::string_view shown, const process::RoleContext &context);

// Of a role's instances; null as in Surroundings.
Surroundings surroundings_in(const process::RoleContext &context, io::Dns &dns, io::Tables *tables, Running *running,
                             Submitter *submitter, Commands *commands);

}  // namespace mansio::host
