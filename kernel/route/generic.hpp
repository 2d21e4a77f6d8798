// Generic: the address that generic(5) tables have in the place of one when mail leaves for other hosts: the public one
// of an internal one. Asked once for each address, whatever it is of a message; what is found is not looked up again.
//
// Complete in itself, unlike Canonical, so that what asks it may outlive who began to.
#pragma once

#include <span>
#include <string>

#include "kernel/route/address_rewriter.hpp"

namespace mansio::route {

class Generic final : public AddressRewriter {
 public:
  // `tables`: their names, in the order in which they are asked. `own_addresses`: IP addresses of this host.
  Generic(const config::Settings &settings, std::span<const std::string> tables,
          std::span<const std::string> own_addresses);
  Generic(const Generic &) = delete;
  Generic &operator=(const Generic &) = delete;

  bool empty(AddressClass) const override { return map_.empty(); }
  Task<Mapped> find(Search &search, AddressClass what, std::string address) const override;

 private:
  OwnDomains own_;
  DomainTables domains_;
  AddressMap map_;
};

}  // namespace mansio::route
