// DNS for the kernel and, as a host service, for plugins: c-ares on the loop, with a cache of ours (positive and
// negative TTL). Answers are values with three outcomes: records, "no such name or data", try later.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::io {

enum class DnsType : std::uint16_t { A = 1, Cname = 5, Ptr = 12, Mx = 15, Txt = 16, Aaaa = 28 };

struct DnsRecord {
  std::string data;              // address text, host name (lower case, no final dot; "" is a null MX) or text
  std::uint16_t preference = 0;  // MX
};

struct DnsAnswer {
  std::vector<DnsRecord> records;  // never empty in a successful answer
  Nanos ttl = 0;
  std::string canonical;  // after CNAMEs; the question's name when there were none
};

struct DnsOptions {
  std::vector<std::string> servers{};  // "127.0.0.1:5353"; empty = the system's
  Nanos timeout = 5 * kSecond;         // per try
  std::uint32_t tries = 2;
  Nanos min_ttl = 5 * kSecond, max_ttl = 3600 * kSecond, max_negative_ttl = 300 * kSecond;
  std::size_t cache_entries = 100'000;
  std::size_t lookups_at_once = 500;      // more wait their turn, so that a burst overruns no socket buffer
  std::string hosts_file = "/etc/hosts";  // read once; answers A, AAAA and PTR before DNS does; "" = none
};

// Errors: NotFound (NXDOMAIN or no data of that type; `text` says which), Defer (time-out, SERVFAIL, ...),
// Fail (the name is not a domain name, or the answer names none that a host can have). Time-outs are not cached.
using DnsResult = Result<DnsAnswer>;

class Dns {
 public:
  static std::unique_ptr<Dns> create(asio::io_context &loop, const Clock &clock, DnsOptions options);
  virtual ~Dns() = default;
  // `done` runs on the loop, never inside this call. Queries for the same question share one lookup.
  virtual void query(std::string_view name, DnsType type, std::function<void(const DnsResult &)> done) = 0;
  Task<DnsResult> query(std::string name, DnsType type);
};

// "4.3.2.1.in-addr.arpa" / nibbles of ip6.arpa; "" if `ip` is no address.
std::string reverse_name(std::string_view ip);

// Parses a wire-format response (a fuzz target): the records of `type` in its answer section.
DnsResult parse_dns_answer(std::string_view response, std::string_view name, DnsType type);

}  // namespace mansio::io
