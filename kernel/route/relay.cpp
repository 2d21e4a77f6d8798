#include "kernel/route/relay.hpp"

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::route {
namespace {

RelayDecision accept(std::string address) {
  RelayDecision d;
  d.address = std::move(address);
  d.enhanced = {2, 1, 5};
  return d;
}
RelayDecision refuse(RelayVerdict verdict, std::uint16_t code, EnhancedStatus enhanced, std::string text) {
  RelayDecision d;
  d.verdict = verdict;
  d.code = code;
  d.enhanced = enhanced;
  d.text = std::move(text);
  return d;
}
RelayDecision denied() { return refuse(RelayVerdict::RelayDenied, 554, {5, 7, 1}, "Relay access denied"); }
RelayDecision unknown() { return refuse(RelayVerdict::UnknownUser, 550, {5, 1, 1}, "No such user here"); }

// A local part that some mailer down the line may take for a route of its own.
bool asks_for_routing(std::string_view local) { return local.find_first_of("%!@:") != local.npos; }

std::string_view unquoted(std::string_view local) {
  if (local.size() >= 2 && local.front() == '"' && local.back() == '"') return local.substr(1, local.size() - 2);
  return local;
}

}  // namespace

RelayPolicy::RelayPolicy(const config::Settings &settings, std::span<const std::string> own_addresses)
    : own_(settings, own_addresses), postmaster_(settings.postmaster) {
  if (postmaster_.find('@') == postmaster_.npos) postmaster_ += '@' + own_.myhostname();
  for (const auto &user : settings.local_recipients) users_.insert(lower(user));
}

RelayDecision RelayPolicy::postmaster() const {
  auto decision = accept(postmaster_);
  decision.to_postmaster = decision.final = true;
  return decision;
}

bool RelayPolicy::lists(std::string_view local, const std::string &domain) const {
  const auto user = lower(unquoted(local));
  return users_.contains(user) || users_.contains(user + '@' + domain) || users_.contains('@' + domain);
}

RelayPolicy::Place RelayPolicy::place_of(std::string_view recipient) const {
  Place place;
  place.domain = canonical_domain(split_address(recipient).domain);
  const bool literal = own_.is_literal_of_host(place.domain);
  if (literal) place.domain = own_.myhostname();
  place.host = literal || own_.is_host(place.domain);
  return place;
}

RelayDecision RelayPolicy::decide(bool trusted, std::string_view recipient, bool known_only) const {
  const auto place = place_of(recipient);
  auto decision = admit(trusted, recipient, place, class_of(place));
  if (decision.verdict != RelayVerdict::Accept || decision.final || decision.domain != DomainClass::Destination)
    return decision;
  if (!known_only || users_.empty() || lists(split_address(recipient).local, place.domain)) return decision;
  // Accepted without being listed, so it must not end at a user whom nobody knows.
  return decision.to_postmaster ? postmaster() : unknown();
}

RelayDecision RelayPolicy::admit(bool trusted, std::string_view recipient, const Place &place,
                                 DomainClass of_domain) const {
  const auto parts = split_address(recipient);
  const bool to_postmaster = is_postmaster(unquoted(parts.local));
  if (!parts.has_domain) return to_postmaster ? postmaster() : unknown();
  const bool destination = of_domain == DomainClass::Destination;
  if (to_postmaster && place.host && !destination && of_domain != DomainClass::VirtualAlias) return postmaster();

  if (!trusted) {
    // This host's name is no mail domain unless mydestination says so.
    if (of_domain == DomainClass::Foreign) return denied();
    if (asks_for_routing(parts.local)) return denied();
  }
  const bool rewritten = place.host || destination;
  auto decision = accept(std::string{parts.local} + '@' + (rewritten ? place.domain : std::string{parts.domain}));
  decision.domain = of_domain;
  decision.to_postmaster = to_postmaster;
  return decision;
}

RelayDecision RelayPolicy::decide(const config::Smtpd &listener, std::string_view client_address, bool authenticated,
                                  std::string_view recipient) const {
  return decide(authenticated || config::contains(listener.mynetworks, client_address), recipient);
}

}  // namespace mansio::route
