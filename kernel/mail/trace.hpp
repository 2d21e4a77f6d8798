// The header fields a server adds: Received (RFC 5321 section 4.4, protocol names of RFC 3848 and RFC 6531),
// Return-Path and Delivered-To at final delivery, and RFC 5322 dates. Lines end in CRLF and are folded; nothing
// a client said can begin a line or leave a comment.
#pragma once

#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio {

// "Sun, 22 Nov 2026 05:46:21 +0000". Mansio writes UTC by default: trace dates of one path then compare by eye.
std::string rfc5322_date(Nanos wall, int minutes_east = 0);

struct SessionKind {
  bool esmtp = false, tls = false, auth = false, smtputf8 = false, lmtp = false;
};
std::string_view protocol_name(SessionKind kind);  // "SMTP", "ESMTPSA", "UTF8SMTPS", "LMTP", ...

// From the envelope's client, helo, protocol, TLS and arrival. "for" is written only when there is one recipient,
// so that nobody learns of another (RFC 5321 section 7.2); who has authenticated only `with_user`. Mail made here has
// no client and gets no "from". A priority that is not 0 is last, where RFC 5321 has the clauses that others added (RFC
// 6710's is PRIORITY).
std::string received_header(const Envelope &envelope, std::string_view hostname, MessageId id, bool with_user = false);

std::string return_path_header(std::string_view sender);  // "" gives "<>"
std::string delivered_to_header(std::string_view recipient);

}  // namespace mansio
