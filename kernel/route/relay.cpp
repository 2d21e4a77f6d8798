#include "kernel/route/relay.hpp"

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::route {
namespace {

RelayDecision accept(std::string address) { return {RelayVerdict::Accept, std::move(address), 250, {2, 1, 5}, {}}; }
RelayDecision denied() { return {RelayVerdict::RelayDenied, {}, 554, {5, 7, 1}, "Relay access denied"}; }
RelayDecision unknown() { return {RelayVerdict::UnknownUser, {}, 550, {5, 1, 1}, "No such user here"}; }

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

RelayDecision RelayPolicy::postmaster() const { return accept(postmaster_); }

bool RelayPolicy::known(std::string_view local, const std::string &domain) const {
  const auto user = lower(unquoted(local));
  return users_.empty() || users_.contains(user) || users_.contains(user + '@' + domain) ||
         users_.contains('@' + domain);
}

RelayDecision RelayPolicy::decide(bool trusted, std::string_view recipient) const {
  const auto parts = split_address(recipient);
  const bool to_postmaster = is_postmaster(unquoted(parts.local));
  if (!parts.has_domain) return to_postmaster ? postmaster() : unknown();

  auto domain = canonical_domain(parts.domain);
  const bool host = own_.is_host(domain);
  if (own_.is_literal_of_host(domain)) domain = own_.myhostname();
  const bool destination = own_.is_destination(domain);
  // Accepted without being listed, so it must not end at a user whom nobody knows.
  if (to_postmaster && destination && !known(parts.local, domain)) return postmaster();
  if (to_postmaster && host && !destination) return postmaster();

  if (!trusted) {
    // This host's name is no mail domain unless mydestination says so.
    if (!destination && !own_.is_relay(domain)) return denied();
    if (asks_for_routing(parts.local)) return denied();
  }
  if (destination && !known(parts.local, domain)) return unknown();
  return accept(std::string{parts.local} + '@' + (host || destination ? domain : std::string{parts.domain}));
}

RelayDecision RelayPolicy::decide(const config::Smtpd &listener, std::string_view client_address, bool authenticated,
                                  std::string_view recipient) const {
  return decide(authenticated || config::contains(listener.mynetworks, client_address), recipient);
}

}  // namespace mansio::route
