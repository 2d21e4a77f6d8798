// The keys by which tables are asked for addresses, names and networks, in the order in which Postfix asks for them
// (access(5), canonical(5), relocated(5), transport(5), virtual(5)). Pure.
//
// A key is `whole` when it is all of what is looked for; tables of patterns are asked for those only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio::route {

struct Key {
  std::string text;
  bool whole = false;
  bool without_extension = false;  // an extension of the address is not part of it
  bool operator==(const Key &) const = default;
};
using Keys = std::vector<Key>;

// A local part as recipient_delimiter divides it. The extension begins with the delimiter; "" if there is none.
struct Mailbox {
  std::string_view user, extension;
};
// Names that mail needs (postmaster, double-bounce) have no extension, nor have "owner-list" and "list-request" with
// '-'.
Mailbox split_extension(std::string_view local, std::string_view delimiters);

// user+ext@domain, user@domain, user+ext, user, @domain. Users alone only if `own`: the domain is this host's.
Keys rewriting_keys(std::string_view address, std::string_view delimiters, bool own);
// user+ext@domain, user@domain, domain, its parents, "*".
Keys transport_keys(std::string_view address, std::string_view delimiters, bool parents_plain);
// user@domain, @domain; "<>" for the null sender.
Keys relayhost_keys(std::string_view sender);
// user+ext@domain, user@domain, domain and its parents, user+ext@, user@; `null_key` for the null sender.
Keys address_access_keys(std::string_view address, std::string_view delimiters, bool parents_plain,
                         std::string_view null_key);
// A host's name and its parents.
Keys host_keys(std::string_view name, bool parents_plain);
// An address in text form and the networks it begins with: 192.0.2.1, 192.0.2, 192.0, 192.
Keys network_keys(std::string_view address);
// A domain and, as ".example.com", those above it; for lists of domains.
Keys domain_keys(std::string_view domain);

}  // namespace mansio::route
