#include "kernel/ingress/filters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "kernel/host/configured.hpp"
#include "kernel/host/late_start.hpp"
#include "kernel/host/remote_filter.hpp"

namespace mansio::ingress {
namespace {

constexpr std::string_view kHost = "host.";

Result<std::unique_ptr<host::FilterInstance>> make_here(const config::Filter &filter, const config::Settings &settings,
                                                        const std::string &plugin_dir, const host::Surroundings &around,
                                                        const char *kind) {
  auto loaded = host::load_configured(filter, filter.name, plugin_dir, settings);
  if (!loaded) return loaded.error();
  return host::start_filter(around, loaded->plugin, std::move(loaded->options), kind);
}

// One that no listener names costs nothing.
std::set<std::string> named(const config::Settings &settings) {
  std::set<std::string> names;
  for (const auto &listener : settings.listeners) {
    for (const auto &name : listener.smtpd.filters) names.insert("filter." + name);
    for (const auto &name : listener.smtpd.policies) names.insert("policy." + name);
  }
  return names;
}

}  // namespace

Filters::~Filters() = default;

bool Filters::any_here(const config::Settings &settings) {
  const auto wanted = named(settings);
  const auto here = [&](const char *kind, const std::vector<config::Filter> &all) {
    return std::ranges::any_of(all, [&](const config::Filter &filter) {
      return filter.budget.isolation == config::Isolation::InProcess && wanted.contains(kind + filter.name);
    });
  };
  return here("filter.", settings.filters) || here("policy.", settings.policies);
}

Result<std::unique_ptr<Filters>> Filters::create(const config::Settings &settings, const std::string &plugin_dir,
                                                 const host::Surroundings &around) {
  std::unique_ptr<Filters> filters{new Filters};
  const auto wanted = named(settings);
  for (const auto &[label, kind, all] :
       {std::tuple{"filter", host::kFilterKind, &settings.filters}, {"policy", host::kPolicyKind, &settings.policies}})
    for (const auto &filter : *all) {
      const auto name = fmt::format("{}.{}", label, filter.name);
      if (!wanted.contains(name)) continue;
      auto &instance = filters->instances_[name];
      instance.settings = &filter;
      if (filter.budget.isolation == config::Isolation::Process) {
        auto remote = std::make_unique<host::RemoteFilter>(around.loop, around.clock, label, filter.name,
                                                           filter.budget.in_flight_limit);
        instance.remote = remote.get();
        instance.instance = std::move(remote);
        continue;
      }
      auto made = make_here(filter, settings, plugin_dir, around, kind);
      if (!made) return made.error();
      instance.instance = std::move(*made);
    }
  return filters;
}

std::shared_ptr<const FilterChain> Filters::chain(const config::Listener &listener, std::string prefix,
                                                  Recorder *recorder) const {
  const auto &smtpd = listener.smtpd;
  if (smtpd.filters.empty() && smtpd.policies.empty() && !smtpd.record) return nullptr;
  auto chain = std::make_shared<FilterChain>();
  chain->prefix = std::move(prefix);
  if (smtpd.record) chain->recorder = recorder;
  chain->listener = listener.name;
  for (const auto &[kind, names] : {std::pair{"policy.", &smtpd.policies}, {"filter.", &smtpd.filters}})
    for (const auto &name : *names) {
      const auto found = instances_.find(kind + name);
      if (found == instances_.end()) continue;  // of a listener for QMQP
      const auto &settings = *found->second.settings;
      chain->links.push_back({found->second.instance.get(), found->first, settings.budget.on_failure,
                              settings.command_timeout, settings.content_timeout, settings.plugin,
                              settings.budget.isolation == config::Isolation::Process});
    }
  return chain;
}

bool Filters::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  if (!host.starts_with(kHost)) return false;
  const auto found = instances_.find(host.substr(kHost.size()));
  if (found == instances_.end() || !found->second.remote) return false;
  found->second.remote->attach(std::move(channel));
  return true;
}

void Filters::stats(const host::StatsSink &add) const {
  for (const auto &[name, instance] : instances_) instance.instance->stats(add);
}

}  // namespace mansio::ingress
