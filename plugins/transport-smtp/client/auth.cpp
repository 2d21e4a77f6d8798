#include "plugins/transport-smtp/client/auth.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

constexpr std::size_t kCommandLimit = 512;      // with CRLF (RFC 5321 section 4.5.3.1.4)
constexpr std::size_t kResponseLimit = 12'288;  // with CRLF (RFC 4954 section 4)
constexpr int kMostChallenges = 6;              // no mechanism has as many
constexpr std::size_t kShownOffer = 200;        // octets of what a server offers that go into a reason

plugin::Reply failed_auth(std::string why) {
  return plugin::defer({4, 7, 0}, "SASL authentication failed: " + std::move(why));
}

plugin::Reply nothing_usable(const Context &context, const Connection &connection) {
  const bool encrypted = connection.encrypted();
  if (connection.caps.auth.empty())
    return failed_auth(connection.relay + " offers no AUTH" + (encrypted ? "" : " without TLS"));
  std::string offer;
  for (const auto &name : connection.caps.auth) offer += ' ' + name;
  const std::string prefix{context.personality.prefix};
  return failed_auth(connection.relay + " offers AUTH" + printable(offer.substr(0, kShownOffer)) + ", of which " +
                     prefix + (encrypted ? "sasl_tls_security_options" : "sasl_security_options") + " and " + prefix +
                     "sasl_mechanism_filter allow none " + (encrypted ? "under TLS" : "without TLS"));
}

class AuthDialogue {
 public:
  AuthDialogue(const Context &context, Connection &connection, const Login &login, const Mechanism &mechanism)
      : context_(context),
        connection_(connection),
        mechanism_(mechanism),
        exchange_(context.sasl.get(), mechanism, login) {
    keep_quiet_about(login.password);
  }

  Task<std::optional<plugin::Reply>> run() {
    std::string line = std::string{"AUTH "} + mechanism_.name;
    std::optional<std::string> held;  // a first response that is too long for the command
    if (mechanism_.client_first) {
      auto first = exchange_.begin();
      if (!first) co_return failed_auth(exchange_.why());
      keep_quiet_about(*first);
      const std::string shown = first->empty() ? "=" : *first;
      if (line.size() + 1 + shown.size() + 2 <= kCommandLimit)
        line += ' ' + shown;
      else
        held = std::move(first);
    }
    for (int challenges = 0;; ++challenges) {
      auto answer = co_await connection_.command(line + "\r\n", context_.options.helo_timeout);
      if (!answer) co_return io_failure(connection_, answer.io, "authenticating");
      if (answer.reply.code != 334) co_return verdict(std::move(answer.reply));
      auto next = held ? std::exchange(held, std::nullopt) : exchange_.respond(challenge_of(answer.reply));
      if (!next || next->size() + 2 > kResponseLimit || challenges >= kMostChallenges) {
        co_await connection_.command("*\r\n", context_.options.helo_timeout);  // whatever it says to that
        connection_.usable = false;
        co_return failed_auth(!next                           ? exchange_.why()
                              : challenges >= kMostChallenges ? "the server does not come to an end"
                                                              : "the user's name and password are too long");
      }
      keep_quiet_about(*next);
      line = std::move(*next);
    }
  }

 private:
  static std::string_view challenge_of(const Reply &reply) {
    return reply.lines.empty() ? std::string_view{} : trimmed(reply.lines.back());
  }

  // The server's last word.
  std::optional<plugin::Reply> verdict(Reply reply) {
    if (reply.positive()) {
      if (exchange_.complete()) return std::nullopt;
      connection_.usable = false;
      return failed_auth("the server ended " + std::string{mechanism_.name} + " before its time");
    }
    if (!reply.enhanced.cls && reply.code >= 400) reply.enhanced = {static_cast<std::uint16_t>(reply.code / 100), 7, 0};
    if (repeats_a_secret(reply.text)) reply.text = "(it repeats what it was told, which is left out here)";
    return remote_failure(connection_, reply, "AUTH", context_.options.sasl_auth_soft_bounce);
  }

  // As it would look in a reply's text. Of a long line its beginning will do, as a server may cut what it repeats.
  void keep_quiet_about(std::string_view secret) {
    if (!secret.empty()) secrets_.push_back(lower(printable(secret)).substr(0, 16));
  }
  bool repeats_a_secret(std::string_view text) const {
    const auto folded = lower(text);
    return std::any_of(secrets_.begin(), secrets_.end(),
                       [&](const auto &secret) { return folded.find(secret) != std::string::npos; });
  }

  const Context &context_;
  Connection &connection_;
  const Mechanism &mechanism_;
  SaslExchange exchange_;
  std::vector<std::string> secrets_;
};

}  // namespace

Task<std::optional<plugin::Reply>> authenticate(const Context &context, Connection &connection, const Login &login) {
  const auto &options = context.options;
  const auto &allowed = connection.encrypted() ? options.sasl_tls_mechanisms : options.sasl_mechanisms;
  const auto *mechanism = strongest(allowed, connection.caps.auth);
  if (!mechanism) co_return nothing_usable(context, connection);
  AuthDialogue dialogue{context, connection, login, *mechanism};
  auto failure = co_await dialogue.run();
  if (!failure)
    context.host.debug("authenticated to " + connection.relay + " as " + printable(login.user) + " by " +
                       mechanism->name);
  co_return failure;
}

}  // namespace mansio::smtp
