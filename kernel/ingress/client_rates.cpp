#include "kernel/ingress/client_rates.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mansio::ingress {
namespace {

// Of each process::ClientEvent, in its order.
struct RateLimit {
  std::string_view event, option;
  std::uint32_t config::Smtpd::*limit;
  bool ends_session;
  std::string_view too_many;
};
constexpr RateLimit kRateLimits[] = {
    {"connection", "client_connection_rate_limit", &config::Smtpd::client_connection_rate_limit, true,
     "too many new connections"},
    {"message", "client_message_rate_limit", &config::Smtpd::client_message_rate_limit, false, "too much mail"},
    {"recipient", "client_recipient_rate_limit", &config::Smtpd::client_recipient_rate_limit, false,
     "too many recipients"},
    {"new_tls_session", "client_new_tls_session_rate_limit", &config::Smtpd::client_new_tls_session_rate_limit, true,
     "too many new TLS sessions"},
    {"auth", "client_auth_rate_limit", &config::Smtpd::client_auth_rate_limit, false, "too many AUTH commands"},
};
static_assert(std::size(kRateLimits) == process::kClientEvents);

const RateLimit &rate_limit_of(process::ClientEvent event) { return kRateLimits[static_cast<std::size_t>(event)]; }

Reply rate_refusal(const Environment &env, const RateLimit &kind, const Client &client) {
  const auto text = "Error: " + std::string{kind.too_many} + " from " + client.address;
  if (kind.ends_session) return {421, {4, 7, 0}, env.settings.myhostname + " " + text};
  return {450, {4, 7, 1}, text};
}

}  // namespace

bool exempt(const config::Smtpd &smtpd, const Client &client) {
  const auto &networks =
      smtpd.client_event_limit_exceptions_given ? smtpd.client_event_limit_exceptions : smtpd.mynetworks;
  return std::any_of(networks.begin(), networks.end(), [&](const auto &n) { return n.contains(client.key); });
}

std::optional<Reply> over_rate(const Environment &env, Service &service, const Client &client,
                               process::ClientEvent event) {
  const auto &kind = rate_limit_of(event);
  const auto &smtpd = service.smtpd;
  const auto limit = smtpd.*kind.limit;
  if (limit == 0 || exempt(smtpd, client)) return std::nullopt;
  const auto count = env.census.count_event(service.name, client.counted_as, event,
                                            {.unit = smtpd.anvil_rate_time_unit, .now = env.clock.mono()});
  if (count <= limit) return std::nullopt;
  ++service.counters.rate_limited[static_cast<std::size_t>(event)];
  auto refusal = rate_refusal(env, kind, client);
  if (count == limit + 1) {  // which one process alone is told
    env.log.warn(
        "client over its rate, refused until its time unit ends; if it may do so, raise the option or list it in "
        "client_event_limit_exceptions",
        {{"client", client.address},
         {"client_name", client.name},
         {"counted_as", client.network},
         {"event_kind", kind.event},
         {"option", kind.option},
         {"limit", limit},
         {"unit_seconds", smtpd.anvil_rate_time_unit / kSecond},
         {"reply", to_string(refusal)},
         {"listener", service.name}});
  }
  return refusal;
}

std::optional<Reply> at_rate(const Environment &env, Service &service, const Client &client,
                             process::ClientEvent event) {
  const auto &smtpd = service.smtpd;
  const auto limit = smtpd.*rate_limit_of(event).limit;
  if (limit == 0 || exempt(smtpd, client)) return std::nullopt;
  const auto count = env.census.counted_events(service.name, client.counted_as, event,
                                               {.unit = smtpd.anvil_rate_time_unit, .now = env.clock.mono()});
  if (count < limit) return std::nullopt;
  return over_rate(env, service, client, event);
}

std::string_view event_name(process::ClientEvent event) { return rate_limit_of(event).event; }

}  // namespace mansio::ingress
