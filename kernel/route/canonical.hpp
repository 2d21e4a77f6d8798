// Canonical: the address that canonical(5) tables have in the place of one, by what the address is of a message. A
// table for senders or for recipients comes before the one for both, which is asked for what that found.
#pragma once

#include <array>
#include <string>

#include "kernel/route/address_rewriter.hpp"

namespace mansio::route {

class Canonical final : public AddressRewriter {
 public:
  Canonical(const config::Settings &settings, const DomainTables &domains);
  bool empty(AddressClass what) const override;
  bool for_headers() const { return !empty(AddressClass::HeaderSender) || !empty(AddressClass::HeaderRecipient); }

  Task<Mapped> find(Search &search, AddressClass what, std::string address) const override;

 private:
  std::array<AddressMap, 4> specific_, common_;
};

}  // namespace mansio::route
