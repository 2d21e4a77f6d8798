// auth-dovecot: asks Dovecot who a client is. Options and behaviour: README.md.
#include <string>
#include <string_view>
#include <utility>

#include "mansio/auth.hpp"
#include "plugins/auth-dovecot/server.hpp"

namespace mansio::dovecot {
namespace {

struct Settings {
  std::string path, service, mechanisms;
};

constexpr std::size_t kLongestPath = 107;  // of a UNIX socket

Settings read_settings(const plugin::Config &config) {
  Settings s;
  plugin::Problems problems{config};
  problems.of([&] {
    s.path = config.option("path");
    if (!s.path.starts_with('/') || s.path.size() > kLongestPath)
      throw plugin::BadConfig{"path", "is \"" + s.path +
                                          "\", expected the path of a UNIX socket, such as "
                                          "\"/run/dovecot/auth-client\""};
  });
  problems.of([&] {
    s.service = config.option("service");
    if (s.service.empty() || s.service.find_first_of(" \t\r\n\001") != std::string::npos)
      throw plugin::BadConfig{"service", "is \"" + s.service + "\", expected a name such as \"smtp\""};
  });
  problems.of([&] {
    s.mechanisms = config.option("mechanisms");
    bool any = false;
    for (std::string_view rest{s.mechanisms}; !rest.empty();) {
      const auto name = rest.substr(0, rest.find(' '));
      rest.remove_prefix(name.size() < rest.size() ? name.size() + 1 : rest.size());
      any = any || !name.empty();
      if (name == "ANONYMOUS")
        throw plugin::BadConfig{"mechanisms", "has ANONYMOUS, with which everybody may relay; expected others"};
      if (name.size() > 20 || name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != name.npos)
        throw plugin::BadConfig{"mechanisms", "has \"" + std::string{name} + "\", expected names such as \"PLAIN\""};
    }
    if (!any) throw plugin::BadConfig{"mechanisms", "has none, expected such as \"PLAIN LOGIN\""};
  });
  problems.end();
  return s;
}

class AuthDovecot {
 public:
  static constexpr plugin::Info info{"auth-dovecot", "1.0"};
  static constexpr mansio_option options[] = {
      {"path", MANSIO_OPT_TEXT, 0, "/run/dovecot/auth-client", "Dovecot's UNIX socket for authentication clients."},
      {"mechanisms", MANSIO_OPT_TEXT, 0, "PLAIN LOGIN",
       "What is offered, separated by blanks: of what `auth_mechanisms` of Dovecot has."},
      {"service", MANSIO_OPT_TEXT, 0, "smtp", "The name of the service in Dovecot's log and settings."},
      {}};

  explicit AuthDovecot(const plugin::Host &host) : AuthDovecot(host, read_settings(host)) {}
  static void check(const plugin::Config &config) { read_settings(config); }

  std::string_view mechanisms(bool) const { return mechanisms_; }
  void step(plugin::AuthStep step, plugin::Token token) { server_.step(std::move(step), std::move(token)); }
  void cancel(mansio_op op) { server_.cancel(op); }
  void forget(std::uint64_t exchange) { server_.forget(exchange); }

 private:
  AuthDovecot(const plugin::Host &host, Settings settings)
      : mechanisms_(std::move(settings.mechanisms)),
        server_(host, std::move(settings.path), std::move(settings.service)) {}

  const std::string mechanisms_;
  Server server_;
};

}  // namespace
}  // namespace mansio::dovecot

MANSIO_AUTH_PLUGIN(mansio::dovecot::AuthDovecot)
