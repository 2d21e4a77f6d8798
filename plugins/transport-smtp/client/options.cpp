#include "plugins/transport-smtp/client/options.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include "plugins/transport-smtp/client/nexthop.hpp"
#include "plugins/transport-smtp/client/nexthop_pattern.hpp"
#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

using plugin::BadConfig;
using plugin::Config;

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

// `holds`: it is an element of a list.
TlsLevel parse_level(std::string_view text, const char *option, bool holds) {
  if (text == "none") return TlsLevel::None;
  if (text == "may") return TlsLevel::May;
  if (text == "encrypt") return TlsLevel::Encrypt;
  if (text == "verify") return TlsLevel::Verify;
  if (text == "secure") return TlsLevel::Secure;
  throw BadConfig{option, (holds ? "holds level " : "is ") + quoted(text) +
                              (text.starts_with("dane") || text == "fingerprint" ? ", which is not supported" : "") +
                              ", expected none, may, encrypt, verify or secure"};
}

std::string parse_match(std::string_view text, const char *option) {
  const auto name = trimmed(text);
  if (name == "hostname" || name == "nexthop" || name == "dot-nexthop") return std::string{name};
  const bool dot = name.starts_with('.');
  const auto domain = to_ascii_domain(name.substr(dot ? 1 : 0));
  if (!domain)
    throw BadConfig{option, "holds " + quoted(name) + ", expected hostname, nexthop, dot-nexthop or a domain"};
  return (dot ? "." : "") + *domain;
}

std::map<std::string, std::vector<plugin::Endpoint>> parse_pools(const Config &host) {
  std::map<std::string, std::vector<plugin::Endpoint>> pools;
  for (const auto &entry : host.list("source_pools")) {
    const auto text = trimmed(entry);
    const auto equal = std::min(text.find('='), text.size());
    const auto endpoint = plugin::Endpoint::ip(trimmed(text.substr(std::min(equal + 1, text.size()))), 0);
    if (equal == 0 || !endpoint)
      throw BadConfig{"source_pools",
                      "holds " + quoted(entry) + ", expected names of pools with lists of IP addresses"};
    pools[std::string{trimmed(text.substr(0, equal))}].push_back(*endpoint);
  }
  return pools;
}

std::optional<plugin::Endpoint> parse_bind(const Config &host, const char *option, int family) {
  const auto text = host.option(option);
  if (text.empty()) return std::nullopt;
  auto endpoint = plugin::Endpoint::ip(text, 0);
  if (!endpoint || endpoint->family() != family)
    throw BadConfig{option,
                    "is " + quoted(text) + ", expected an " + (family == AF_INET ? "IPv4" : "IPv6") + " address"};
  return endpoint;
}

template <class T>
T in_range(const Config &host, const std::string &option, std::int64_t least, std::int64_t most) {
  const auto value = host.integer(option.c_str());
  if (value < least || value > most)
    throw BadConfig{option, "is " + std::to_string(value) + ", expected an integer from " + std::to_string(least) +
                                " to " + std::to_string(most)};
  return static_cast<T>(value);
}

// A UNIX socket has neither TCP segments nor, in practice, TLS.
NextHopPattern parse_key(std::string_view key, std::string_view entry, const std::string &option, bool unix_socket) {
  auto pattern = parse_nexthop_pattern(key);
  if (!pattern || (pattern->hop.kind == NextHop::Kind::Unix && !unix_socket))
    throw BadConfig{option, "holds " + quoted(entry) + ", which can match no next hop, expected " +
                                "example.com, .example.com, [host] or an address, perhaps with :port" +
                                (unix_socket ? ", or unix:/path" : "")};
  return std::move(*pattern);
}

// The most specific entry that matches; null if there is none.
template <class T>
const std::pair<NextHopPattern, T> *best_match(const std::vector<std::pair<NextHopPattern, T>> &entries,
                                               const NextHop &nexthop) {
  const std::pair<NextHopPattern, T> *best = nullptr;
  for (const auto &entry : entries) {
    if (entry.first.matches(nexthop) && (!best || entry.first.more_specific_than(best->first))) best = &entry;
  }
  return best;
}

// What TCP_MAXSEG takes on Linux.
constexpr int kLeastSegment = 88, kLargestSegment = 32767;

std::vector<std::pair<NextHopPattern, int>> parse_maxseg(const Config &host, const std::string &option) {
  std::vector<std::pair<NextHopPattern, int>> entries;
  for (const auto &entry : host.list(option.c_str())) {
    const auto text = trimmed(entry);
    const auto equal = std::min(text.find('='), text.size());
    const auto number = trimmed(text.substr(std::min(equal + 1, text.size())));
    int bytes = 0;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), bytes);
    if (equal == 0 || error != std::errc{} || end != number.data() + number.size() || bytes < kLeastSegment ||
        bytes > kLargestSegment)
      throw BadConfig{option, "holds " + quoted(entry) + ", expected DOMAIN=BYTES such as \"example.com=536\", from " +
                                  std::to_string(kLeastSegment) + " to " + std::to_string(kLargestSegment)};
    entries.emplace_back(parse_key(text.substr(0, equal), text, option, false), bytes);
  }
  return entries;
}

void read_pix(const Config &host, const std::string &option, Options &o) {
  for (const auto &entry : host.list(option.c_str())) {
    const auto word = trimmed(entry);
    if (word == "disable_esmtp")
      o.pix_disable_esmtp = true;
    else if (word == "delay_dotcrlf")
      o.pix_delay_dotcrlf = true;
    else
      throw BadConfig{option, "holds " + quoted(word) + ", expected disable_esmtp or delay_dotcrlf"};
  }
}

SecurityOptions parse_security_options(const Config &host, const std::string &option) {
  SecurityOptions security;
  for (const auto &entry : host.list(option.c_str())) {
    const auto word = trimmed(entry);
    if (word == "noplaintext")
      security.noplaintext = true;
    else if (word == "mutual_auth")
      security.mutual_auth = true;
    else if (word != "noanonymous")  // which no mechanism of ours is
      throw BadConfig{option, "holds " + quoted(word) +
                                  (word == "noactive" || word == "nodictionary" ? ", which is not supported" : "") +
                                  ", expected noplaintext, noanonymous or mutual_auth"};
  }
  return security;
}

std::vector<std::string> parse_mechanism_filter(const Config &host, const std::string &option) {
  std::vector<std::string> filter;
  for (const auto &entry : host.list(option.c_str())) {
    const auto word = trimmed(entry);
    if (!is_filter_entry(word))
      throw BadConfig{option, "holds " + quoted(word) + ", expected mechanisms such as PLAIN or !LOGIN, or static:all"};
    filter.emplace_back(word);
  }
  return filter;
}

void read_sasl(const Config &host, const Personality &personality, Options &o) {
  const auto named = [&](const char *name) { return personality.prefix + std::string{name}; };
  plugin::Problems problems{host};
  o.sasl_auth_enable = host.flag(named("sasl_auth_enable").c_str());
  o.sasl_auth_soft_bounce = host.flag(named("sasl_auth_soft_bounce").c_str());
  const auto maps = named("sasl_password_maps");
  problems.of([&] {
    for (const auto &entry : host.list(maps.c_str())) {
      const auto table = trimmed(entry);
      if (table.empty() || table.find_first_of(":/") != std::string_view::npos)
        throw BadConfig{maps, "holds " + quoted(table) + ", expected the NAME of a [lookup.NAME]"};
      o.sasl_password_maps.emplace_back(table);
    }
    if (o.sasl_auth_enable && o.sasl_password_maps.empty())
      throw BadConfig{
          maps, "is empty, expected the table that has the passwords, as " + named("sasl_auth_enable") + " is true"};
  });
  std::vector<std::string> filter;
  SecurityOptions clear, tls;
  problems.of([&] { filter = parse_mechanism_filter(host, named("sasl_mechanism_filter")); });
  problems.of([&] { clear = parse_security_options(host, named("sasl_security_options")); });
  const auto of_tls = named("sasl_tls_security_options");
  problems.of([&] { tls = host.list(of_tls.c_str()).empty() ? clear : parse_security_options(host, of_tls); });
  problems.end();
  o.sasl_mechanisms = allowed_mechanisms(filter, clear);
  o.sasl_tls_mechanisms = allowed_mechanisms(filter, tls);
  if (o.sasl_auth_enable && o.sasl_mechanisms.empty() && o.sasl_tls_mechanisms.empty())
    throw BadConfig{named("sasl_mechanism_filter"),
                    "leaves no mechanism that the security options allow, expected one of SCRAM-SHA-256, SCRAM-SHA-1, "
                    "CRAM-MD5, PLAIN and LOGIN"};
}

std::vector<NextHop> parse_fallback(const Config &host, const std::string &option, std::uint16_t port) {
  std::vector<NextHop> relays;
  for (const auto &entry : host.list(option.c_str())) {
    auto relay = parse_nexthop(trimmed(entry), port);
    if (!relay) throw BadConfig{option, "holds " + quoted(entry) + ", expected a next hop such as \"[host]:port\""};
    relays.push_back(std::move(*relay));
  }
  return relays;
}

}  // namespace

TlsPolicy parse_policy(std::string_view text) {
  constexpr auto option = "tls_policy";
  auto colon = std::min(text.find(':'), text.size());
  TlsPolicy policy{parse_level(trimmed(text.substr(0, colon)), option, true), {}};
  while (colon < text.size()) {
    text.remove_prefix(colon + 1);
    colon = std::min(text.find(':'), text.size());
    policy.match.push_back(parse_match(text.substr(0, colon), option));
  }
  if (!policy.match.empty() && !policy.authenticates())
    throw BadConfig{option,
                    "holds names for a certificate at level none, may or encrypt, expected them at verify or "
                    "secure only"};
  return policy;
}

int Options::maxseg_for(const NextHop &nexthop) const {
  const auto *best = best_match(tcp_maxseg, nexthop);
  return best ? best->second : 0;
}

bool Options::cached_destination(const NextHop &nexthop) const {
  return std::ranges::any_of(connection_cache_destinations, [&](const auto &p) { return p.matches(nexthop); });
}

TlsPolicy Options::tls_for(const NextHop &nexthop, const TlsPolicy &asked) const {
  const auto *best = best_match(tls_policy, nexthop);
  auto policy = best ? best->second : TlsPolicy{tls_level, {}};
  if (asked.level > policy.level) policy = asked;
  if (policy.match.empty() && policy.authenticates())
    policy.match = policy.level == TlsLevel::Verify ? tls_verify_cert_match : tls_secure_cert_match;
  return policy;
}

Options read_options(const Config &host, const Personality &personality) {
  const auto named = [&](const char *name) { return personality.prefix + std::string{name}; };
  Options o;
  plugin::Problems problems{host};
  const auto helo_name = named(personality.lmtp ? "lhlo_name" : "helo_name");
  o.helo_name = host.option(helo_name.c_str());
  if (o.helo_name.empty()) o.helo_name = host.fact("myhostname");
  if (o.helo_name.empty()) o.helo_name = "localhost";
  problems.of([&] {
    if (o.helo_name.find_first_of(std::string_view{" \t\r\n\0", 5}) != std::string::npos)
      throw BadConfig{helo_name, "is " + quoted(o.helo_name) + ", expected a name without white space"};
  });
  problems.of([&] { o.port = in_range<std::uint16_t>(host, named("tcp_port"), 1, 65535); });
  const auto wrappermode = named("tls_wrappermode");
  o.tls_wrappermode = host.flag(wrappermode.c_str());
  problems.of([&] {
    o.tls_level = parse_level(host.option("tls_security_level"), "tls_security_level", false);
    if (o.tls_wrappermode && o.tls_level < TlsLevel::Encrypt)
      throw BadConfig{"tls_security_level", "is " + quoted(host.option("tls_security_level")) +
                                                ", expected encrypt, verify or secure, as " + wrappermode + " is true"};
  });
  for (const auto &entry : host.list("tls_policy")) {
    problems.of([&] {
      const auto text = trimmed(entry);
      const auto equal = text.find('=');
      if (equal == std::string_view::npos || equal == 0)
        throw BadConfig{"tls_policy",
                        "holds " + quoted(text) + ", expected DOMAIN=LEVEL such as \"example.com=encrypt\""};
      o.tls_policy.emplace_back(parse_key(text.substr(0, equal), text, "tls_policy", false),
                                parse_policy(text.substr(equal + 1)));
      if (o.tls_wrappermode && o.tls_policy.back().second.level < TlsLevel::Encrypt)
        throw BadConfig{"tls_policy", "holds " + quoted(text) + ", expected encrypt, verify or secure, as " +
                                          wrappermode + " is true"};
    });
  }
  for (const auto &[name, to] : {std::pair{"tls_verify_cert_match", &o.tls_verify_cert_match},
                                 std::pair{"tls_secure_cert_match", &o.tls_secure_cert_match}}) {
    for (const auto &match : host.list(name))
      problems.of([&, option = name, into = to] { into->push_back(parse_match(match, option)); });
  }
  o.tls_ca_file = host.option("tls_CAfile");
  o.tls_ca_path = host.option("tls_CApath");
  problems.of([&] { read_sasl(host, personality, o); });
  problems.of([&] { o.source_pools = parse_pools(host); });
  o.use_chunking = host.flag("use_chunking");
  o.send_xforward = host.flag(named("send_xforward_command").c_str());
  for (const auto &word : host.list(named("discard_ehlo_keywords").c_str()))
    o.discard_ehlo_keywords.push_back(lower(trimmed(word)));
  problems.of([&] { o.mx_address_limit = in_range<std::size_t>(host, named("mx_address_limit"), 0, 10000); });
  problems.of([&] { o.mx_session_limit = in_range<std::size_t>(host, named("mx_session_limit"), 0, 10000); });
  o.randomize_addresses = host.flag(named("randomize_addresses").c_str());
  const auto protocols = host.option("inet_protocols");
  problems.of([&] {
    if (protocols != "all" && protocols != "ipv4" && protocols != "ipv6")
      throw BadConfig{"inet_protocols", "is " + quoted(protocols) + ", expected all, ipv4 or ipv6"};
  });
  o.ipv4 = protocols != "ipv6";
  o.ipv6 = protocols != "ipv4";
  problems.of([&] { o.bind_address = parse_bind(host, "bind_address", AF_INET); });
  problems.of([&] { o.bind_address6 = parse_bind(host, "bind_address6", AF_INET6); });
  problems.of([&] { o.conversion_size_limit = host.size("conversion_size_limit"); });
  o.connection_cache_on_demand = host.flag(named("connection_cache_on_demand").c_str());
  for (const auto &entry : host.list(named("connection_cache_destinations").c_str())) {
    problems.of([&] {
      o.connection_cache_destinations.push_back(
          parse_key(entry, trimmed(entry), named("connection_cache_destinations"), true));
    });
  }
  problems.of([&] {
    o.connection_reuse_count_limit = in_range<std::uint32_t>(host, named("connection_reuse_count_limit"), 0,
                                                             std::numeric_limits<std::uint32_t>::max());
  });
  problems.of([&] { o.fallback_relay = parse_fallback(host, named("fallback_relay"), o.port); });
  problems.of([&] { o.tcp_maxseg = parse_maxseg(host, named("tcp_maxseg")); });
  problems.of([&] { read_pix(host, named("pix_workarounds"), o); });
  const std::pair<const char *, std::int64_t Options::*> times[] = {
      {"connection_cache_time_limit", &Options::connection_cache_time_limit},
      {"connection_reuse_time_limit", &Options::connection_reuse_time_limit},
      {"pix_workaround_threshold_time", &Options::pix_workaround_threshold_time},
      {"pix_workaround_delay_time", &Options::pix_workaround_delay_time},
      {"failover_time", &Options::failover_time},
      {"probe_interval", &Options::probe_interval},
  };
  for (const auto &[word, member] : times)
    problems.of([&, name = named(word), to = member] { o.*to = host.duration(name.c_str()); });
  const std::pair<const char *, std::int64_t Options::*> timeouts[] = {
      {"connect_timeout", &Options::connect_timeout},     {"helo_timeout", &Options::helo_timeout},
      {"starttls_timeout", &Options::starttls_timeout},   {"mail_timeout", &Options::mail_timeout},
      {"rcpt_timeout", &Options::rcpt_timeout},           {"data_init_timeout", &Options::data_init_timeout},
      {"data_xfer_timeout", &Options::data_xfer_timeout}, {"data_done_timeout", &Options::data_done_timeout},
      {"xforward_timeout", &Options::xforward_timeout},   {"rset_timeout", &Options::rset_timeout},
      {"quit_timeout", &Options::quit_timeout},
  };
  for (const auto &[word, member] : timeouts) {
    const auto name = named(word);
    problems.of([&, to = member] {
      o.*to = host.duration(name.c_str());
      if (o.*to <= 0) throw BadConfig{name, "is 0 or less, expected a time above 0"};
    });
  }
  o.skip_quit_response = host.flag(named("skip_quit_response").c_str());
  for (const auto &address : host.fact_list("self_addresses")) {
    if (auto ip = canonical_ip(trimmed(address)); !ip.empty()) o.self_addresses.push_back(std::move(ip));
  }
  problems.end();
  return o;
}

}  // namespace mansio::smtp
