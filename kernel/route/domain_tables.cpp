#include "kernel/route/domain_tables.hpp"

#include "kernel/mail/address.hpp"

namespace mansio::route {

DomainTables::DomainTables(const config::Settings &settings, const OwnDomains &own)
    : own_(own),
      destinations_(settings, settings.mydestination_maps),
      virtual_alias_(settings, settings.virtual_alias_domain_maps),
      relay_(settings, settings.relay_domain_maps) {}

Task<Result<DomainClass>> DomainTables::class_of(Search &search, const std::string &domain) const {
  const auto known = own_.class_of(domain);
  if (known != DomainClass::Foreign || domain.empty()) co_return known;
  const Keys itself{{domain, true}}, with_parents = domain_keys(domain);
  struct Use {
    const MapList &maps;
    const Keys &keys;
    DomainClass means;
  };
  const Use uses[] = {{destinations_, itself, DomainClass::Destination},
                      {virtual_alias_, itself, DomainClass::VirtualAlias},
                      {relay_, with_parents, DomainClass::Relay}};
  for (const auto &use : uses) {
    auto keys = use.keys;
    const auto found = co_await search.by_key(use.maps, std::move(keys));
    if (found.later()) co_return Error{Status::Defer, found.text};
    if (found.found()) co_return use.means;
  }
  co_return DomainClass::Foreign;
}

Task<Result<bool>> DomainTables::is_own(Search &search, const std::string &address) const {
  const auto domain = canonical_domain(split_address(address).domain);
  if (own_.is_host(domain)) co_return true;
  const auto of_domain = co_await class_of(search, domain);
  if (!of_domain) co_return of_domain.error();
  co_return *of_domain == DomainClass::Destination;
}

}  // namespace mansio::route
