// Recipients that are named twice, by RCPT or by the aliases of others, get one copy.
#pragma once

#include <vector>

#include "kernel/mail/envelope.hpp"

namespace mansio {

// The first of each address stays, in the order there was, and is notified of whatever any of them was to be notified
// of. Addresses are compared octet for octet: local parts that differ in case may be different mailboxes (RFC 5321
// section 2.4). Nothing is allocated for few recipients.
void merge_duplicates(std::vector<Recipient> &recipients);

}  // namespace mansio
