#include "plugins/transport-smtp/client/nexthop_pattern.hpp"

#include <tuple>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {

using Kind = NextHop::Kind;

bool NextHopPattern::matches(const NextHop &nexthop) const {
  if (hop.port != 0 && hop.port != nexthop.port) return false;
  const bool as_host = hop.kind == Kind::Domain && nexthop.kind == Kind::Host;
  if (hop.kind != nexthop.kind && !as_host) return false;
  const bool below = hop.kind == Kind::Domain && hop.name.starts_with('.');
  return below ? nexthop.name.ends_with(hop.name) : nexthop.name == hop.name;
}

bool NextHopPattern::more_specific_than(const NextHopPattern &other) const {
  const auto rank = [](const NextHop &h) { return std::tuple{h.name.size(), h.port != 0, h.kind == Kind::Host}; };
  return rank(hop) > rank(other.hop);
}

std::optional<NextHopPattern> parse_nexthop_pattern(std::string_view text) {
  text = trimmed(text);
  const bool below = text.starts_with('.');
  auto hop = parse_nexthop(text.substr(below ? 1 : 0), 0);
  if (!hop || (below && hop->kind != Kind::Domain)) return std::nullopt;
  if (below) hop->name.insert(0, 1, '.');
  return NextHopPattern{std::move(*hop)};
}

}  // namespace mansio::smtp
