// Canonical: the address that canonical(5) tables have in the place of one, by what the address is of a message. A
// table for senders or for recipients comes before the one for both, which is asked for what that found.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "kernel/route/address_map.hpp"

namespace mansio::route {

enum class AddressClass : std::uint8_t { EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient };

class Canonical {
 public:
  Canonical(const config::Settings &settings, const DomainTables &domains);
  bool empty(AddressClass what) const;
  bool for_headers() const { return !empty(AddressClass::HeaderSender) || !empty(AddressClass::HeaderRecipient); }

  // At most one address; none: it stays as it is.
  Task<Mapped> find(Search &search, AddressClass what, std::string address) const;

 private:
  std::array<AddressMap, 4> specific_, common_;
};

}  // namespace mansio::route
