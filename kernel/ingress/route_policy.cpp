#include "kernel/ingress/route_policy.hpp"

namespace mansio::ingress {

Verdict RoutePolicy::recipient(const config::Smtpd &smtpd, const Client &client, std::string_view sender,
                               std::string_view recipient) {
  Verdict verdict;
  const bool known_only = !smtpd.overrides("no_unknown_recipient_checks");
  auto decision = relay_.decide(client.may_relay(), recipient, known_only);
  if (decision.verdict == route::RelayVerdict::UnknownUser) {
    decision.code = static_cast<std::uint16_t>(smtpd.unknown_local_recipient_reject_code);
    decision.enhanced.cls = static_cast<std::uint8_t>(decision.code / 100);
  }
  if (decision.verdict != route::RelayVerdict::Accept) {
    verdict.refusal = Reply{decision.code, decision.enhanced, decision.text};
    return verdict;
  }
  verdict.address = decision.address;
  auto way = routes_.route(sender, verdict.address);
  // Where recipients need not exist, one that is refused for good is taken without a way, and returned by the router.
  const bool taken = !known_only && way.refusal && way.refusal->code >= 500;
  if (way.refusal && !taken) verdict.refusal = Reply{way.refusal->code, way.refusal->enhanced, way.refusal->text};
  if (!way.refusal) verdict.route = std::move(way.route);
  if (!way.address.empty()) verdict.address = std::move(way.address);
  return verdict;
}

}  // namespace mansio::ingress
