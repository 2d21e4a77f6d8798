#include "kernel/route/generic.hpp"

#include <utility>

namespace mansio::route {

Generic::Generic(const config::Settings &settings, std::span<const std::string> tables,
                 std::span<const std::string> own_addresses)
    : own_(settings, own_addresses), domains_(settings, own_), map_(settings, domains_, tables, "generic") {}

Task<Mapped> Generic::find(Search &search, AddressClass, std::string address) const {
  auto mapped = co_await map_.find(search, std::move(address));
  if (mapped.addresses.size() > 1) mapped.addresses.resize(1);  // one address has one in its place
  co_return mapped;
}

}  // namespace mansio::route
