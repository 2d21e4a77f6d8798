// @NAME@: knows one user. Replace step() by what you need; mansio/auth.hpp has the rest.
#include <mansio/auth.hpp>

namespace {

using namespace mansio::plugin;

class @CLASS@ {
 public:
  static constexpr Info info{"@NAME@", "0.1"};
  static constexpr mansio_option options[] = {
      {"user", MANSIO_OPT_TEXT, 0, "someone", "The one user."},
      {"password", MANSIO_OPT_TEXT, MANSIO_OPT_SECRET, "", "Its password; without one nobody is let in."},
      {},
  };

  explicit @CLASS@(Host host) : user_(host.option("user")), password_(host.option("password")) {}

  // In clear nothing is offered.
  std::string_view mechanisms(bool clear) const { return clear ? "" : "PLAIN"; }

  // authenticated(), wrong_credentials(), defer() for "cannot say now", or challenge() for a step more.
  Reply step(const AuthStep &step) {
    if (!step.has_response) return challenge("");
    const auto plain = parse_plain(step.response);
    if (!plain || plain->user != user_ || plain->password != password_) return wrong_credentials("not the one user");
    if (!plain->identity.empty() && plain->identity != user_) return wrong_credentials("nobody acts for another");
    return authenticated(user_);
  }

 private:
  std::string user_, password_;
};

}  // namespace

MANSIO_AUTH_PLUGIN(@CLASS@)
