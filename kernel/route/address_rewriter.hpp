// AddressRewriter: the address that stands in the place of one, by what that is of a message. Canonical tables are one,
// where mail comes in; generic tables are another, where it leaves.
#pragma once

#include <cstdint>
#include <string>

#include "kernel/route/address_map.hpp"

namespace mansio::route {

enum class AddressClass : std::uint8_t { EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient };

class AddressRewriter {
 public:
  virtual ~AddressRewriter() = default;
  virtual bool empty(AddressClass what) const = 0;  // none of these is ever rewritten
  // At most one address; none: it stays as it is.
  virtual Task<Mapped> find(Search &search, AddressClass what, std::string address) const = 0;
};

}  // namespace mansio::route
