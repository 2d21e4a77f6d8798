// Reading DNS messages (RFC 1035) and judging names: pure functions on untrusted bytes.
#pragma once

#include <string>
#include <string_view>

#include "kernel/io/dns.hpp"

namespace mansio::io {

// An answer and how long it may be kept. For "no such name or data" that is what RFC 2308 section 5 says: the lesser of
// the SOA's TTL and its minimum, 0 when there is no SOA. Other errors have none.
struct DnsParsed {
  DnsResult result;
  Nanos ttl = 0;
};
DnsParsed parse_dns_message(std::string_view response, std::string_view name, DnsType type);

// Lower case, without the final dot; "" when `name` can be no domain name: empty, a label that is empty or longer than
// 63, more than 253 in all, or an octet that is not printable ASCII (IDNs come here as A-labels).
std::string normal_domain(std::string_view name);

}  // namespace mansio::io
