// RouteFinder: the way of a recipient, where tables have a say in it. What relocated_maps have is refused with their
// text; transport_maps are stronger than the [[route]] tables; sender_dependent_relayhost_maps change the next hop of
// mail to foreign domains that transport_maps leave alone.
//
// Used by ingress for new mail and by the router for mail that is routed again, so that both agree.
#pragma once

#include <string>

#include "kernel/route/address_map.hpp"
#include "kernel/route/domain_tables.hpp"
#include "kernel/route/route_table.hpp"

namespace mansio::route {

struct FoundRoute {
  RouteDecision decision;
  std::string trouble;  // for the log: what a table could not say, or said wrongly; then the refusal is 451
};

class RouteFinder {
 public:
  // All outlive it.
  RouteFinder(const config::Settings &settings, const RouteTable &routes, const DomainTables &domains);
  // Without any table: routes.route() says all.
  static bool needed(const config::Settings &settings);

  Task<FoundRoute> route(Search &search, std::string sender, std::string recipient) const;

 private:
  Task<bool> relocated(Search &search, const std::string &recipient, FoundRoute &out) const;
  Task<bool> by_transport_maps(Search &search, const std::string &recipient, FoundRoute &out) const;
  Task<void> by_relayhost_maps(Search &search, const std::string &sender, FoundRoute &out) const;

  const config::Settings &settings_;
  const RouteTable &routes_;
  const DomainTables &domains_;
  AddressMap relocated_;
  MapList transports_, relayhosts_;
  bool plain_parents_;  // of transport_maps
  bool aliased_domains_;
};

}  // namespace mansio::route
