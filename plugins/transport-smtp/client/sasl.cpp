#include "plugins/transport-smtp/client/sasl.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "mansio/config.hpp"

namespace mansio::smtp {
namespace {

// What the library allocated.
struct SaslBytes {
  char *p = nullptr;
  std::size_t n = 0;
  SaslBytes() = default;
  SaslBytes(const SaslBytes &) = delete;
  SaslBytes &operator=(const SaslBytes &) = delete;
  ~SaslBytes() { gsasl_free(p); }
  std::string text() const { return p ? std::string{p, n} : std::string{}; }
};

// Whether a server's first message of SCRAM (RFC 5802 section 7) asks for more rounds of hashing than we do.
bool asks_too_much(std::string_view message) {
  for (std::size_t at = 0; at < message.size();) {
    const auto end = std::min(message.find(',', at), message.size());
    auto attribute = message.substr(at, end - at);
    at = end + 1;
    if (!attribute.starts_with("i=")) continue;
    attribute.remove_prefix(2);
    unsigned rounds = 0;
    const auto [stop, error] = std::from_chars(attribute.data(), attribute.data() + attribute.size(), rounds);
    // What is no number the library refuses.
    if (error == std::errc::result_out_of_range || rounds > kMostIterations) return true;
  }
  return false;
}

}  // namespace

SaslLibrary make_sasl() {
  Gsasl *library = nullptr;
  if (const int rc = gsasl_init(&library); rc != GSASL_OK)
    throw plugin::BadConfig{std::string{"GNU SASL: "} + gsasl_strerror(rc)};
  return SaslLibrary{library};
}

SaslExchange::SaslExchange(Gsasl *library, const Mechanism &mechanism, const Login &login) : mechanism_(mechanism) {
  Gsasl_session *session = nullptr;
  int rc = gsasl_client_start(library, mechanism.name, &session);
  if (rc == GSASL_OK) {
    session_.reset(session);
    rc = gsasl_property_set(session, GSASL_AUTHID, login.user.c_str());
    if (rc == GSASL_OK) rc = gsasl_property_set(session, GSASL_PASSWORD, login.password.c_str());
  }
  if (rc == GSASL_OK) return;
  session_.reset();
  why_ = gsasl_strerror(rc);
}

std::optional<std::string> SaslExchange::fails(std::string why) {
  why_ = std::move(why);
  session_.reset();
  complete_ = false;
  return std::nullopt;
}

std::optional<std::string> SaslExchange::begin() { return step({}); }

std::optional<std::string> SaslExchange::respond(std::string_view challenge) {
  if (!session_) return std::nullopt;
  if (complete_) return fails(std::string{"the server asks for more than "} + mechanism_.name + " has");
  SaslBytes decoded;
  if (!challenge.empty() && gsasl_base64_from(challenge.data(), challenge.size(), &decoded.p, &decoded.n) != GSASL_OK)
    return fails("the server's challenge is not in base64");
  const auto text = decoded.text();
  if (mechanism_.mutual && asks_too_much(text))
    return fails("the server asks for more than " + std::to_string(kMostIterations) + " rounds of hashing");
  return step(text);
}

std::optional<std::string> SaslExchange::step(const std::string &challenge) {
  if (!session_) return std::nullopt;
  // On failure there is nothing to free.
  char *out = nullptr;
  std::size_t n = 0;
  const int rc = gsasl_step(session_.get(), challenge.c_str(), challenge.size(), &out, &n);
  if (rc != GSASL_OK && rc != GSASL_NEEDS_MORE) return fails(gsasl_strerror(rc));
  SaslBytes said, encoded;
  said.p = out;
  said.n = n;
  if (n > 0 && gsasl_base64_to(out, n, &encoded.p, &encoded.n) != GSASL_OK) return fails("out of memory");
  complete_ = rc == GSASL_OK;
  return encoded.text();
}

}  // namespace mansio::smtp
