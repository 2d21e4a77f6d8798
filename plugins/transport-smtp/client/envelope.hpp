// The MAIL and RCPT commands for one server: which extensions it takes, addresses quoted and, where it lacks
// SMTPUTF8, with A-label domains. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mansio/plugin.hpp"
#include "plugins/transport-smtp/client/reply.hpp"

namespace mansio::smtp {

// RFC 3461 section 4: '+', '=' and what is not printable ASCII become +HH.
std::string xtext(std::string_view text);
// ORCPT's value of "type;address" (RFC 3461 section 4.2, RFC 6533 section 3); nullopt if it cannot be written.
std::optional<std::string> orcpt_value(std::string_view orcpt, bool smtputf8);

// An address as it stands between < and >: the local part quoted if need be, the domain as A-labels unless `utf8`.
// nullopt: it holds control characters, or UTF-8 that the server would not understand.
std::optional<std::string> wire_address(std::string_view address, bool utf8);

// MT-PRIORITY's value (RFC 6710): what the host notes of a message whose priority is not 0. "" if there is none.
std::string_view priority_of(const plugin::Delivery &delivery);

struct EnvelopePlan {
  bool smtputf8 = false;    // announce it with MAIL
  bool impossible = false;  // the message needs SMTPUTF8 and the server lacks it: 5.6.7
  bool bad_sender = false;  // no way to write the sender's address: 5.1.7
  std::string mail;         // the command, with CRLF
};
// `size`: bytes of the content as it will be sent; `eight_bit`: it is 8-bit and goes out as such.
EnvelopePlan plan_envelope(const plugin::Delivery &delivery, const Capabilities &caps, std::uint64_t size,
                           bool eight_bit);
// Appends RCPT for one recipient; false if its address cannot be written for this server.
bool append_rcpt(std::string &to, const plugin::Recipient &recipient, const Capabilities &caps, bool smtputf8);

}  // namespace mansio::smtp
