// Authenticators: the auth plugins of an ingress process, in it or as stubs of their own processes, for the listeners
// that name them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/config/settings.hpp"
#include "kernel/host/auth.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {
class RemoteAuth;
}  // namespace mansio::host

namespace mansio::ingress {

// Whom a listener asks.
struct AuthLink {
  host::AuthInstance *instance = nullptr;  // null: nobody, and AUTH is not offered
  std::string name;                        // of its [auth.NAME]
  Nanos time_limit = 30 * kSecond;         // of a step
};

class Authenticators {
 public:
  // `settings` outlives it, `around` too. Fails as Filters does.
  static Result<std::unique_ptr<Authenticators>> create(const config::Settings &settings, const std::string &plugin_dir,
                                                        const host::Surroundings &around);
  ~Authenticators();

  AuthLink link(const config::Smtpd &smtpd) const;
  // A channel to the host process of that name ("host.auth.NAME"); false: it hosts none of these.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);
  static bool any_here(const config::Settings &settings);  // some plugin's code runs in this process
  void stats(const host::StatsSink &add) const;

 private:
  Authenticators() = default;

  struct Instance {
    std::unique_ptr<host::AuthInstance> instance;
    host::RemoteAuth *remote = nullptr;  // the same, when it is one
    const config::Auth *settings = nullptr;
  };
  std::map<std::string, Instance, std::less<>> instances_;  // by NAME
};

}  // namespace mansio::ingress
