#include "kernel/ingress/authenticators.hpp"

#include <algorithm>
#include <utility>

#include "kernel/host/configured.hpp"
#include "kernel/host/late_start.hpp"
#include "kernel/host/remote_auth.hpp"

namespace mansio::ingress {
namespace {

constexpr std::string_view kAuthHost = "host.auth.";

// One that no listener asks costs nothing.
bool is_asked(const config::Settings &settings, const config::Auth &auth) {
  return std::ranges::any_of(settings.listeners, [&](const config::Listener &listener) {
    return listener.smtpd.sasl_auth_enable && listener.smtpd.auth == auth.name;
  });
}

Result<std::unique_ptr<host::AuthInstance>> make_auth_here(const config::Auth &auth, const config::Settings &settings,
                                                           const std::string &plugin_dir,
                                                           const host::Surroundings &around) {
  auto loaded = host::load_configured(auth, auth.name, plugin_dir, settings);
  if (!loaded) return loaded.error();
  return host::start_auth(around, loaded->plugin, std::move(loaded->options));
}

}  // namespace

Authenticators::~Authenticators() = default;

bool Authenticators::any_here(const config::Settings &settings) {
  return std::ranges::any_of(settings.auths, [&](const config::Auth &auth) {
    return auth.budget.isolation == config::Isolation::InProcess && is_asked(settings, auth);
  });
}

Result<std::unique_ptr<Authenticators>> Authenticators::create(const config::Settings &settings,
                                                               const std::string &plugin_dir,
                                                               const host::Surroundings &around) {
  std::unique_ptr<Authenticators> all{new Authenticators};
  for (const auto &auth : settings.auths) {
    if (!is_asked(settings, auth)) continue;
    auto &instance = all->instances_[auth.name];
    instance.settings = &auth;
    if (auth.budget.isolation == config::Isolation::Process) {
      auto remote =
          std::make_unique<host::RemoteAuth>(around.loop, around.clock, auth.name, auth.budget.in_flight_limit);
      instance.remote = remote.get();
      instance.instance = std::move(remote);
      continue;
    }
    auto made = make_auth_here(auth, settings, plugin_dir, around);
    if (!made) return made.error();
    instance.instance = std::move(*made);
  }
  return all;
}

AuthLink Authenticators::link(const config::Smtpd &smtpd) const {
  if (!smtpd.sasl_auth_enable) return {};
  const auto found = instances_.find(smtpd.auth);
  if (found == instances_.end()) return {};
  return {found->second.instance.get(), found->first, found->second.settings->time_limit};
}

bool Authenticators::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  if (!host.starts_with(kAuthHost)) return false;
  const auto found = instances_.find(host.substr(kAuthHost.size()));
  if (found == instances_.end() || !found->second.remote) return false;
  found->second.remote->attach(std::move(channel));
  return true;
}

void Authenticators::stats(const host::StatsSink &add) const {
  for (const auto &[name, instance] : instances_) instance.instance->stats(add);
}

}  // namespace mansio::ingress
