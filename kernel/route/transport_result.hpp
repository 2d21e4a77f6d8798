// What a table of transports answers (transport(5)), read: "transport:nexthop". Pure, on bytes that another server
// sent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/route/route_table.hpp"

namespace mansio::route {

struct TransportResult {
  std::string transport;  // "": as without the table
  std::string nexthop;    // "": the recipient's domain, or as without the table if there is no transport either
  std::optional<Refusal> refusal;  // of "error:text" and "retry:text"

  bool unchanged() const { return transport.empty() && nexthop.empty() && !refusal; }
};

// An error says what is wrong: a transport that is not configured, a next hop that is none.
Result<TransportResult> parse_transport(std::string_view text, const config::Settings &settings);
// A next hop alone: [host]:port, a domain, unix:/path.
Result<std::string> parse_nexthop(std::string_view text);

}  // namespace mansio::route
