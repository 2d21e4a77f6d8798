// Access tables (access(5)): what the right-hand side of an entry means. Pure, on bytes that another server sent.
//
// Of the names of Postfix's restrictions those mean something that need to know no more than who the client is. Others
// are refused with words that say so: an entry that is not understood must not become one that lets mail pass.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/route/route_table.hpp"

namespace mansio::route {

enum class AccessKind : std::uint8_t {
  Ok,             // this use's further tables are not asked
  Dunno,          // as if the key were not there, and no other keys of this table are tried
  Refuse,         // REJECT, DEFER, 4NN and 5NN
  DeferIfPermit,  // refused for now if nothing else refuses
  DeferIfReject,  // what refuses for good refuses for now
  Discard,
  Filter,
  Hold,
  Redirect,
  Bcc,
  Prepend,
  Info,
  Warn,
  Restrict,  // as its restrictions say, one after the other, until one decides; none: as Dunno
};

enum class Restriction : std::uint8_t {
  Permit,
  Reject,
  Defer,
  PermitMynetworks,
  PermitSaslAuthenticated,
  RejectUnauthDestination,  // which relaying is refused by anyway: it never decides
};

struct AccessAction {
  AccessKind kind = AccessKind::Dunno;
  Refusal refusal;   // of Refuse and the two DeferIf; its text may be ""
  std::string text;  // an address, a header field, "transport:nexthop", words for the log
  std::vector<Restriction> restrictions{};
};

struct AccessCodes {
  std::uint16_t reject = 554, defer = 450;
};

// An error says what is wrong with the entry.
Result<AccessAction> parse_access(std::string_view text, AccessCodes codes = {});

// The client, as restrictions ask of it.
struct AccessClient {
  bool in_mynetworks = false, authenticated = false;
};
// What an action of restrictions comes to; any other is itself.
AccessAction decided(AccessAction action, AccessClient client, AccessCodes codes);

enum class AccessSubject : std::uint8_t { Client, Helo, Sender, Recipient };

// One table may serve several subjects: a code about a recipient becomes the one about a sender, and none of either
// about a client.
EnhancedStatus fitting(EnhancedStatus status, AccessSubject subject);

}  // namespace mansio::route
