#include "kernel/route/address_map.hpp"

#include <algorithm>

#include "kernel/mail/address.hpp"
#include "kernel/route/address_result.hpp"

namespace mansio::route {

AddressMap::AddressMap(const config::Settings &settings, const DomainTables &domains,
                       std::span<const std::string> tables, std::string_view rewriting)
    : maps_(settings, tables),
      domains_(&domains),
      delimiters_(settings.recipient_delimiter),
      origin_(settings.myhostname),
      propagate_(std::ranges::find(settings.propagate_unmatched_extensions, rewriting) !=
                 settings.propagate_unmatched_extensions.end()),
      length_limit_(settings.virtual_alias_address_length_limit) {}

Task<Found> AddressMap::raw(Search &search, const std::string &address) const {
  Found found;
  if (maps_.empty() || address.empty()) co_return found;
  const auto own = co_await domains_->is_own(search, address);
  if (!own) {
    found.outcome = Found::Outcome::TryLater;
    found.text = own.error().text;
    co_return found;
  }
  auto keys = rewriting_keys(address, delimiters_, *own);
  auto answer = co_await search.by_key(maps_, std::move(keys));
  co_return answer;
}

Task<Mapped> AddressMap::find(Search &search, std::string address) const {
  Mapped out;
  const auto found = co_await raw(search, address);
  if (found.later()) {
    out.later = true;
    out.text = found.text;
  }
  if (!found.found()) co_return out;
  AddressRules rules{.asked = address, .extension = {}, .propagate = propagate_, .origin = origin_};
  rules.length_limit = length_limit_;
  const auto box = split_extension(split_address(address).local, delimiters_);
  if (found.without_extension) rules.extension = box.extension;
  auto addresses = parse_addresses(found.values, rules);
  if (addresses) {
    out.addresses = std::move(*addresses);
  } else {
    out.later = true;
    out.text = "table " + found.table + ", for " + address + ": " + addresses.error().text;
  }
  co_return out;
}

}  // namespace mansio::route
