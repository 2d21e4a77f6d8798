// What tests of a plugin hand to the fake host, and what they get back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::testing {

struct FakeReply {  // mansio_reply, owned
  mansio_status status = MANSIO_OK;
  int smtp_code = 0;
  std::string enhanced;  // "4.2.2", "" = none
  std::string text, remote_mta, relay, tls, destination;
  std::uint32_t connection_use = 0, flags = 0;
  std::vector<std::string> values;
  std::int64_t ttl_ns = 0, retry_ns = 0;
};

struct FakeResult {
  std::map<std::size_t, FakeReply> recipients;  // each one's; complete() fills in those not reported
  std::optional<FakeReply> last;
  // Of a filter or policy, when it answered OK: its edits in order, and what it set.
  std::vector<std::string> edits{};
  std::map<std::string, std::string, std::less<>> session_meta{}, message_meta{};
  unsigned progress = 0;
};

struct FakeMail {
  std::string sender{};
  std::vector<plugin::Recipient> recipients{};
  std::string content{};  // canonical: CRLF line ends
  std::string nexthop{};
  std::uint32_t flags = 0;  // MANSIO_MSG_*
  std::uint32_t ret = 0;
  std::string envid{};
  std::string source_pool{};
  std::string tls_policy{};
  std::vector<std::pair<std::string, std::string>> metadata{};
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
  plugin::Origin origin{};
  std::uint32_t attempts = 0;  // made before this one
  plugin::Sasl sasl{};
  std::string client_address{}, client_name{}, client_helo{};
};

struct FakeLease {  // what a rate plugin is asked for
  std::string limit = "tenant_rate_limit", key = "test";
  std::uint32_t want = 1;
  double per_second = 1;
  std::uint32_t burst = 1;
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

struct FakePlaces {  // the same of places
  std::string limit = "process_limit", key = "test", holder = "node";
  std::uint64_t number = 1;
  std::uint32_t held = 0, want = 1, capacity = 1;
  std::chrono::nanoseconds rest{}, time_limit = std::chrono::hours{1};
};

struct FakeAuthStep {
  std::string mechanism = "PLAIN";
  std::optional<std::string> response{};  // decoded; nothing: a first step without one
  std::uint32_t step = 0;
  std::uint64_t exchange = 1;
  std::string client_address = "192.0.2.1";
  std::string client_helo = "client.example.test";
  std::string tls = "TLSv1.3";
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

struct FakeTableAnswer {  // of a table that the plugin asks
  mansio_status status = MANSIO_OK;
  std::vector<std::string> values{};
  std::string text{};
};

struct FakeDnsAnswer {
  mansio_status status = MANSIO_OK;
  std::vector<plugin::DnsRecord> records{};
  std::string text{};
};

// Whether it has all that a reply of ABI 1.0 had; if not it says nothing, and its zeros are not MANSIO_OK.
inline bool is_whole(const mansio_reply *reply) {
  return reply && reply->size >= offsetof(mansio_reply, transmit_ns) + sizeof(std::int64_t);
}

// What a plugin said, owned.
inline FakeReply copy_reply(const mansio_reply *reply) {
  if (!is_whole(reply)) {
    FakeReply none;
    none.status = MANSIO_INTERNAL;
    return none;
  }
  const auto r = plugin::read_record<mansio_reply>(reply);
  FakeReply out{r.status,
                r.smtp_code,
                "",
                plugin::string(r.text),
                plugin::string(r.remote_mta),
                plugin::string(r.relay),
                plugin::string(r.tls),
                plugin::string(r.destination),
                r.connection_use,
                r.flags,
                {},
                r.ttl_ns,
                r.retry_ns};
  for (std::size_t i = 0; i < r.n_values; ++i) out.values.push_back(plugin::string(r.values[i]));
  if (r.enhanced[0])
    out.enhanced =
        std::to_string(r.enhanced[0]) + "." + std::to_string(r.enhanced[1]) + "." + std::to_string(r.enhanced[2]);
  return out;
}

// An option as a user writes it, in the host's canonical text.
inline std::string canonical_option(std::uint32_t type, const std::string &text) {
  if (type != MANSIO_OPT_SIZE && type != MANSIO_OPT_DURATION) return text;
  if (text.empty()) return "0";
  std::size_t end = 0;
  const auto number = std::stoll(text, &end);
  end = text.find_first_not_of(' ', end);
  const auto unit = end == text.npos ? std::string{} : text.substr(end);
  static const std::map<std::string, std::int64_t> sizes{{"", 1},
                                                         {"B", 1},
                                                         {"k", 1 << 10},
                                                         {"K", 1 << 10},
                                                         {"KiB", 1 << 10},
                                                         {"M", 1 << 20},
                                                         {"MiB", 1 << 20},
                                                         {"G", 1 << 30},
                                                         {"GiB", 1 << 30},
                                                         {"T", std::int64_t{1} << 40},
                                                         {"TiB", std::int64_t{1} << 40}};
  static const std::map<std::string, std::int64_t> times{{"ns", 1},
                                                         {"us", 1'000},
                                                         {"ms", 1'000'000},
                                                         {"", 1'000'000'000},
                                                         {"s", 1'000'000'000},
                                                         {"m", 60'000'000'000},
                                                         {"h", 3600'000'000'000},
                                                         {"d", 86400'000'000'000},
                                                         {"w", 7 * 86400'000'000'000}};
  const auto &units = type == MANSIO_OPT_SIZE ? sizes : times;
  const auto factor = units.find(unit);
  if (factor == units.end()) throw std::invalid_argument{"not understood: " + text};
  return std::to_string(number * factor->second);
}

}  // namespace mansio::testing
