#include "kernel/route/route_finder.hpp"

#include <algorithm>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/transport_result.hpp"

namespace mansio::route {
namespace {

// Mail waits until the tables are mended.
void give_up(FoundRoute &out, std::string trouble, bool wrong) {
  out.decision.refusal = wrong ? Refusal{451, {4, 3, 5}, "Server configuration error"}
                               : Refusal{451, {4, 3, 0}, "Temporary lookup failure"};
  out.trouble = std::move(trouble);
}

std::string about(const Found &found, const std::string &address, const std::string &what) {
  return "table " + found.table + ", for " + address + ": " + what;
}

}  // namespace

RouteFinder::RouteFinder(const config::Settings &settings, const RouteTable &routes, const DomainTables &domains)
    : settings_(settings),
      routes_(routes),
      domains_(domains),
      relocated_(settings, domains, settings.relocated_maps, {}),
      transports_(settings, settings.transport_maps),
      relayhosts_(settings, settings.sender_dependent_relayhost_maps),
      plain_parents_(std::ranges::find(settings.parent_domain_matches_subdomains, "transport_maps") !=
                     settings.parent_domain_matches_subdomains.end()),
      aliased_domains_(!settings.virtual_alias_domains.empty() || !settings.virtual_alias_domain_maps.empty()) {}

bool RouteFinder::needed(const config::Settings &s) {
  return !s.relocated_maps.empty() || !s.transport_maps.empty() || !s.sender_dependent_relayhost_maps.empty() ||
         !s.virtual_alias_domains.empty() || !s.virtual_alias_domain_maps.empty();
}

Task<FoundRoute> RouteFinder::route(Search &search, std::string sender, std::string recipient) const {
  FoundRoute out;
  const bool moved = co_await relocated(search, recipient, out);
  if (moved) co_return out;
  out.decision = routes_.route(sender, recipient);
  const auto &address = out.decision.address.empty() ? recipient : out.decision.address;
  const bool settled = co_await by_transport_maps(search, address, out);
  if (settled) co_return out;

  if (!aliased_domains_ && relayhosts_.empty()) co_return out;
  const auto domain = canonical_domain(split_address(address).domain);
  const auto of_domain = co_await domains_.class_of(search, domain);
  if (!of_domain) {
    give_up(out, of_domain.error().text, false);
  } else if (*of_domain == DomainClass::VirtualAlias) {
    // What the aliases do not know has no mailbox either, and would come back to us by its domain's MX.
    const auto code = static_cast<std::uint16_t>(settings_.smtpd.unknown_virtual_alias_reject_code);
    out.decision.refusal =
        Refusal{code, {static_cast<std::uint8_t>(code / 100), 1, 1}, "User unknown in virtual alias table"};
  } else if (*of_domain == DomainClass::Foreign && !out.decision.refusal) {
    co_await by_relayhost_maps(search, sender, out);
  }
  co_return out;
}

Task<bool> RouteFinder::relocated(Search &search, const std::string &recipient, FoundRoute &out) const {
  const auto found = co_await relocated_.raw(search, recipient);
  if (found.later()) give_up(out, found.text, false);
  if (found.found())
    out.decision.refusal = Refusal{550, {5, 1, 6}, "User has moved to " + printable(found.values.front(), false)};
  co_return found.later() || found.found();
}

Task<bool> RouteFinder::by_transport_maps(Search &search, const std::string &recipient, FoundRoute &out) const {
  if (transports_.empty()) co_return false;
  auto keys = transport_keys(recipient, settings_.recipient_delimiter, plain_parents_);
  const auto found = co_await search.by_key(transports_, std::move(keys));
  if (found.later()) {
    give_up(out, found.text, false);
    co_return true;
  }
  if (!found.found()) co_return false;
  auto result = parse_transport(found.values.front(), settings_);
  if (!result) {
    give_up(out, about(found, recipient, result.error().text), true);
    co_return true;
  }
  if (result->unchanged()) co_return false;
  auto &decision = out.decision;
  if (result->refusal) {
    decision.refusal = std::move(result->refusal);
    co_return true;
  }
  if (!result->transport.empty()) {
    decision.refusal.reset();
    decision.route.transport = std::move(result->transport);
  }
  decision.route.nexthop = std::move(result->nexthop);
  co_return true;
}

Task<void> RouteFinder::by_relayhost_maps(Search &search, const std::string &sender, FoundRoute &out) const {
  if (relayhosts_.empty()) co_return;
  auto keys = relayhost_keys(sender);
  const auto found = co_await search.by_key(relayhosts_, std::move(keys));
  if (found.later()) give_up(out, found.text, false);
  if (!found.found() || equals_nocase(found.values.front(), "DUNNO")) co_return;
  auto nexthop = parse_nexthop(found.values.front());
  if (nexthop)
    out.decision.route.nexthop = std::move(*nexthop);
  else
    give_up(out, about(found, sender, nexthop.error().text), true);
}

}  // namespace mansio::route
