#include "kernel/host/configured.hpp"

#include <fmt/format.h>

#include <utility>

#include "kernel/io/interfaces.hpp"
#include "kernel/process/privilege.hpp"

namespace mansio::host {

Result<Configured> load_configured(const PluginTable &table, std::string_view shown, const std::string &plugin_dir,
                                   const config::Settings &settings) {
  const auto plugin = load_plugin(fmt::format("{}/{}.so", plugin_dir, table.plugin));
  if (!plugin) return plugin.error();
  auto options = check_options(**plugin, table.options);
  if (!options) return Error{Status::BadConfig, fmt::format("{}: {}", shown, options.error().text)};
  auto self = io::interface_addresses();
  self.insert(self.end(), settings.proxy_interfaces.begin(), settings.proxy_interfaces.end());
  return Configured{**plugin,
                    {table.name,
                     std::move(*options),
                     {{"myhostname", settings.myhostname}, {"self_addresses", fmt::format("{}", fmt::join(self, ","))}},
                     limits_of(table.budget)}};
}

Result<Configured> load_alone(const PluginTable &table, std::string_view shown, const process::RoleContext &context) {
  auto loaded = load_configured(table, shown, context.start.plugin_dir, context.settings);
  if (loaded && (loaded->plugin.needs & (MANSIO_NEEDS_STATE | MANSIO_TAKES_STATE)))
    loaded->options.facts["state_directory"] = process::state_directory(context.start);
  return loaded;
}

Surroundings surroundings_in(const process::RoleContext &context, io::Dns &dns, io::Tables *tables, Running *running,
                             Submitter *submitter, Commands *commands) {
  return {context.loop,
          context.clock,
          context.log,
          dns,
          tables,
          running,
          submitter,
          commands,
          &context.shared,
          context.start.slot,
          context.start.config_epoch};
}

}  // namespace mansio::host
