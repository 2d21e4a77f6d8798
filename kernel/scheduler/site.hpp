// Sites: destinations that share one set of limits, because a rule says so or because the same hosts take mail for
// them. Pure text: what is known of a destination is its name and, once DNS was asked, its mail exchangers.
//
// A list of exchangers is one text: host names in lower case, sorted, with commas between; "" if there are none or they
// are not known.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/scheduler/limits.hpp"

namespace mansio::scheduler {

inline constexpr std::uint16_t kNoRule = UINT16_MAX;

// Whose limits a destination has, and with whom it shares them.
struct Placement {
  std::uint16_t rule = kNoRule;  // in TransportLimits::rules
  std::string site;              // "": it is by itself
};

// The site of all destinations with the same exchangers has these in its name, "mx:a.example,b.example", which is no
// next hop's. A destination that a rule names is by itself, unless that rule has a site. What is itself a site is in no
// other; one that rules name has the limits of the first of them, whatever else matches its name.
Placement placement(const TransportLimits &limits, std::string_view name, std::string_view exchangers);

// Is it a domain by whose exchangers mail may go? A host in brackets, a next hop with a port, a path or an address of a
// recipient is none.
bool has_exchangers(std::string_view name);

}  // namespace mansio::scheduler
