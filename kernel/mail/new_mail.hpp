// What is made the same way of all new mail, whoever brings it: its recipients, the facts that plugins set, and the
// header fields that come before its content.
#pragma once

#include <string>

#include "kernel/mail/envelope.hpp"
#include "kernel/mail/headers.hpp"

namespace mansio {

// `route` is in the envelope once. An `original` that is the address is left out.
void add_recipient(Envelope &envelope, Recipient recipient, Route route);

// "priority" (-9 to 9, RFC 6710), "tenant", "campaign", "source_pool" are fields of the envelope; any other name is in
// its metadata, once. False: a priority that is none, and nothing is changed.
bool set_metadata(Envelope &envelope, const std::string &name, const std::string &value);

// Returns the header fields, whole lines, such that none of the content, all of which `content` has seen, becomes a
// part of them. The envelope's body is what they and the content are together, one hop further.
std::string put_before(const ContentScanner &content, std::string fields, Envelope &envelope);

}  // namespace mansio
