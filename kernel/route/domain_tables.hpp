// DomainTables: what a domain is to us where the settings leave it to tables (mydestination_maps and its like). What
// the settings themselves say comes first and is never asked for.
#pragma once

#include <string>

#include "kernel/base/result.hpp"
#include "kernel/route/own_domains.hpp"
#include "kernel/route/search.hpp"

namespace mansio::route {

class DomainTables {
 public:
  // `own` outlives it.
  DomainTables(const config::Settings &settings, const OwnDomains &own);

  // `domain` in canonical form. An error means try later, its text why.
  Task<Result<DomainClass>> class_of(Search &search, const std::string &domain) const;
  // Do users without a domain live there: in tables, "user" stands for such an address.
  Task<Result<bool>> is_own(Search &search, const std::string &address) const;

 private:
  const OwnDomains &own_;
  MapList destinations_, virtual_alias_, relay_;
};

}  // namespace mansio::route
