// Aliases: virtual alias expansion (virtual(5)). One recipient becomes the recipients that the tables have for it,
// those become theirs, until the tables know no more.
//
// An address that stands in its own expansion is a mailbox there ("alice: alice, archive"), and so ends what would be a
// loop. One that two members lead to is expanded once. Beyond a limit, or with an answer that is no list of addresses,
// there is no expansion at all: mail waits until the tables are mended, and nobody is left out.
#pragma once

#include <string>
#include <vector>

#include "kernel/route/address_map.hpp"

namespace mansio::route {

struct Expansion {
  std::vector<std::string> addresses;  // the address itself if it is no alias; each once
  bool alias = false;
  bool later = false;  // no expansion now
  std::string text;    // then: why, for the log
};

class Aliases {
 public:
  Aliases(const config::Settings &settings, const DomainTables &domains);
  bool empty() const { return map_.empty(); }

  Task<Expansion> expand(Search &search, std::string address) const;

 private:
  AddressMap map_;
  std::size_t recursion_limit_, expansion_limit_;
};

}  // namespace mansio::route
