// What counts as "me" in an address: own domains, this host's name, and its addresses as literals. One place, because
// the relay decision and the routes must agree about it.
#pragma once

#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>

#include "kernel/config/network.hpp"
#include "kernel/config/settings.hpp"

namespace mansio::route {

// ascii_domain() of kernel/mail/address.hpp; "" if that refuses it.
std::string canonical_domain(std::string_view domain);

// A set of domains and of ".domain" patterns, which stand for subdomains only.
class DomainSet {
 public:
  DomainSet() = default;
  explicit DomainSet(std::span<const std::string> patterns);
  bool contains(const std::string &canonical) const;
  bool empty() const { return exact_.empty() && above_.empty(); }

 private:
  std::unordered_set<std::string> exact_, above_;
};

// What a domain is to us.
enum class DomainClass : std::uint8_t { Foreign, Destination, Relay, VirtualAlias };

class OwnDomains {
 public:
  // `addresses`: IP addresses of this host's interfaces; those the settings name are added.
  OwnDomains(const config::Settings &settings, std::span<const std::string> addresses);

  bool is_destination(const std::string &canonical) const { return destinations_.contains(canonical); }
  // By the settings alone; tables may know more (DomainTables).
  DomainClass class_of(const std::string &canonical) const;
  // This host itself: its name, or one of its addresses as a literal.
  bool is_host(const std::string &canonical) const;
  bool is_literal_of_host(const std::string &canonical) const;
  const std::string &myhostname() const { return myhostname_; }

 private:
  DomainSet destinations_, relay_, virtual_alias_;
  std::string myhostname_;
  std::set<std::array<std::uint8_t, 16>> addresses_;
};

}  // namespace mansio::route
