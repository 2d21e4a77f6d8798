// AddressMap: tables that have other addresses in the place of one (canonical(5), virtual(5), BCC maps): the keys in
// their order, and the answer read.
#pragma once

#include <string>
#include <vector>

#include "kernel/route/domain_tables.hpp"
#include "kernel/route/search.hpp"

namespace mansio::route {

struct Mapped {
  std::vector<std::string> addresses;  // none: the tables do not have it
  bool later = false;                  // cannot be said now, or the answer makes no sense: mail waits
  std::string text;                    // then: why, for the log
};

class AddressMap {
 public:
  AddressMap() = default;
  // `domains` outlives it. `rewriting`: its name in propagate_unmatched_extensions, "" if it has none there.
  AddressMap(const config::Settings &settings, const DomainTables &domains, std::span<const std::string> tables,
             std::string_view rewriting);
  bool empty() const { return maps_.empty(); }

  Task<Mapped> find(Search &search, std::string address) const;
  // What the tables have for the address, as they have it.
  Task<Found> raw(Search &search, const std::string &address) const;

 private:
  MapList maps_;
  const DomainTables *domains_ = nullptr;
  std::string delimiters_, origin_;
  bool propagate_ = false;
  std::size_t length_limit_ = 0;
};

}  // namespace mansio::route
