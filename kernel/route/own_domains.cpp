#include "kernel/route/own_domains.hpp"

#include "kernel/config/syntax.hpp"
#include "kernel/mail/address.hpp"

namespace mansio::route {

std::string canonical_domain(std::string_view domain) { return ascii_domain(domain).value_or(""); }

DomainSet::DomainSet(std::span<const std::string> patterns) {
  for (const auto &pattern : patterns) {
    if (pattern.starts_with('.')) {
      above_.insert(canonical_domain(std::string_view{pattern}.substr(1)));
    } else {
      exact_.insert(canonical_domain(pattern));
    }
  }
  exact_.erase("");
  above_.erase("");
}

bool DomainSet::contains(const std::string &canonical) const {
  if (canonical.empty()) return false;
  if (exact_.contains(canonical)) return true;
  if (above_.empty() || canonical.starts_with('[')) return false;
  for (auto dot = canonical.find('.'); dot != canonical.npos; dot = canonical.find('.', dot + 1)) {
    if (above_.contains(canonical.substr(dot + 1))) return true;
  }
  return false;
}

OwnDomains::OwnDomains(const config::Settings &settings, std::span<const std::string> addresses)
    : destinations_(settings.mydestination),
      relay_(settings.relay_domains),
      virtual_alias_(settings.virtual_alias_domains),
      myhostname_(canonical_domain(settings.myhostname)) {
  const auto add = [&](std::string_view text) {
    if (const auto ip = config::parse_ip(text)) addresses_.insert(*ip);
  };
  for (const auto &address : addresses) add(address);
  for (const auto &address : settings.proxy_interfaces) add(address);
  for (const auto &listener : settings.listeners) {
    for (const auto &text : listener.listen) {
      const auto address = config::parse_host_port(text);
      if (address && address->host != "0.0.0.0" && address->host != "::") add(address->host);
    }
  }
}

DomainClass OwnDomains::class_of(const std::string &canonical) const {
  if (destinations_.contains(canonical)) return DomainClass::Destination;
  if (virtual_alias_.contains(canonical)) return DomainClass::VirtualAlias;
  return relay_.contains(canonical) ? DomainClass::Relay : DomainClass::Foreign;
}

bool OwnDomains::is_literal_of_host(const std::string &canonical) const {
  if (canonical.size() < 3 || canonical.front() != '[' || canonical.back() != ']') return false;
  auto inner = std::string_view{canonical}.substr(1, canonical.size() - 2);
  if (inner.starts_with("ipv6:")) inner.remove_prefix(5);
  const auto ip = config::parse_ip(inner);
  return ip && addresses_.contains(*ip);
}

bool OwnDomains::is_host(const std::string &canonical) const {
  return (!canonical.empty() && canonical == myhostname_) || is_literal_of_host(canonical);
}

}  // namespace mansio::route
