// DNS responses as the resolver reads them: any bytes, every record type. A successful answer is never empty and
// holds nothing that could break a log line or an SMTP command, TXT apart.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/io/dns.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::dns {

MANSIO_FUZZ_TARGET("dns-fuzz", data, size) {
  using namespace io;
  const std::string_view bytes{reinterpret_cast<const char *>(data), size};
  for (const auto type : {DnsType::A, DnsType::Cname, DnsType::Ptr, DnsType::Mx, DnsType::Txt, DnsType::Aaaa}) {
    const auto answer = parse_dns_answer(bytes, "example.com", type);
    if (!answer) continue;
    if (answer->records.empty() || answer->ttl < 0) std::abort();
    for (const auto &record : answer->records) {
      if (type == DnsType::Txt) continue;
      if (std::any_of(record.data.begin(), record.data.end(), [](char c) { return c <= 0x20 || c >= 0x7f; }))
        std::abort();
      if (record.data.empty() && type != DnsType::Mx) std::abort();
    }
  }
  return 0;
}

}  // namespace mansio::fuzz::dns
