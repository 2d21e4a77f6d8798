// One SASL exchange (RFC 4422) as a client, by GNU SASL, in the base64 of RFC 4954. No I/O: auth.hpp speaks to servers.
#pragma once

#include <gsasl.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/transport-smtp/client/mechanisms.hpp"

namespace mansio::smtp {

// As whom to authenticate; nobody, if the user is empty.
struct Login {
  std::string user, password;
  bool empty() const { return user.empty(); }
  bool operator==(const Login &) const = default;
};

struct FreeSasl {
  void operator()(Gsasl *library) const { gsasl_done(library); }
  void operator()(Gsasl_session *session) const { gsasl_finish(session); }
};
using SaslLibrary = std::unique_ptr<Gsasl, FreeSasl>;

SaslLibrary make_sasl();  // throws BadConfig

// What SCRAM may cost us is the server's choice: hashing so often takes a tenth of a second, in which nothing else is
// delivered. Servers ask for 4096 (RFC 7677) up to some tens of thousands.
inline constexpr unsigned kMostIterations = 100'000;

class SaslExchange {
 public:
  SaslExchange(Gsasl *library, const Mechanism &mechanism, const Login &login);

  // The first response, of a mechanism whose client speaks first; "" if it is empty. nullopt: it cannot go on, see
  // why().
  std::optional<std::string> begin();
  // The response to a challenge, both in base64.
  std::optional<std::string> respond(std::string_view challenge);

  // Nothing is left to say, and a server that had to prove itself has.
  bool complete() const { return complete_; }
  const std::string &why() const { return why_; }  // without anything secret

 private:
  std::optional<std::string> step(const std::string &challenge);
  std::optional<std::string> fails(std::string why);

  const Mechanism &mechanism_;
  std::unique_ptr<Gsasl_session, FreeSasl> session_;
  bool complete_ = false;
  std::string why_;
};

}  // namespace mansio::smtp
