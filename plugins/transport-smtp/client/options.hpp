// What the SMTP and the LMTP transport can be told, and in what the two protocols differ.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/plugin.hpp"
#include "mansio/socket.hpp"
#include "plugins/transport-smtp/client/mechanisms.hpp"
#include "plugins/transport-smtp/client/nexthop.hpp"
#include "plugins/transport-smtp/client/nexthop_pattern.hpp"

namespace mansio::smtp {

using plugin::Host;

struct Personality {
  const char *plugin;  // "transport-smtp"
  const char *prefix;  // of its options
  const char *hello;   // "EHLO" or "LHLO"
  bool lmtp;           // a reply for each recipient after the content, no HELO, no MX
};
inline constexpr Personality kSmtp{"transport-smtp", "smtp_", "EHLO", false};
inline constexpr Personality kLmtp{"transport-lmtp", "lmtp_", "LHLO", true};

// As Postfix names them. Each demands what those before it do, and more.
enum class TlsLevel {
  None,     // in clear
  May,      // TLS if it is offered and works, with any certificate
  Encrypt,  // TLS, with any certificate
  Verify,   // a certificate that a trusted CA vouches for, in the server's name (which DNS may have said)
  Secure,   // ... in the next hop's own name or one below it, whatever DNS says
};

struct TlsPolicy {
  TlsLevel level = TlsLevel::May;
  std::vector<std::string> match;  // names instead of the level's own: "nexthop", "dot-nexthop", "hostname", domains
  bool authenticates() const { return level >= TlsLevel::Verify; }
  bool operator==(const TlsPolicy &) const = default;
};

struct Options {
  std::string helo_name;
  std::uint16_t port = 25;
  TlsLevel tls_level = TlsLevel::May;
  std::vector<std::pair<NextHopPattern, TlsPolicy>> tls_policy;
  std::vector<std::string> tls_verify_cert_match, tls_secure_cert_match;
  std::string tls_ca_file, tls_ca_path;
  bool tls_wrappermode = false;
  bool sasl_auth_enable = false, sasl_auth_soft_bounce = true;
  std::vector<std::string> sasl_password_maps;      // names of tables
  Mechanisms sasl_mechanisms, sasl_tls_mechanisms;  // that may be used, without TLS and under it
  bool use_chunking = true, randomize_addresses = true, skip_quit_response = true, send_xforward = false;
  bool ipv4 = true, ipv6 = true;
  std::vector<std::string> discard_ehlo_keywords;
  std::size_t mx_address_limit = 5, mx_session_limit = 2, conversion_size_limit = 0;
  std::optional<plugin::Endpoint> bind_address, bind_address6;
  std::map<std::string, std::vector<plugin::Endpoint>> source_pools;
  bool connection_cache_on_demand = true;
  std::vector<NextHopPattern> connection_cache_destinations;
  std::int64_t connection_cache_time_limit = 0, connection_reuse_time_limit = 0;
  std::uint32_t connection_reuse_count_limit = 0;
  std::int64_t connect_timeout = 0, helo_timeout = 0, starttls_timeout = 0, xforward_timeout = 0, mail_timeout = 0,
               rcpt_timeout = 0, data_init_timeout = 0, data_xfer_timeout = 0, data_done_timeout = 0, rset_timeout = 0,
               quit_timeout = 0;
  std::vector<std::string> self_addresses;  // canonical
  bool pix_disable_esmtp = false, pix_delay_dotcrlf = false;
  std::int64_t pix_workaround_threshold_time = 0, pix_workaround_delay_time = 0;
  std::vector<std::pair<NextHopPattern, int>> tcp_maxseg;
  std::vector<NextHop> fallback_relay;
  std::int64_t failover_time = 0, probe_interval = 0;

  // The policy for a next hop: the most specific entry that matches, else tls_level, or what the message asks for where
  // that demands more; `match` is filled in.
  TlsPolicy tls_for(const NextHop &nexthop, const TlsPolicy &asked) const;
  // The largest TCP segment for a next hop; 0: the system's.
  int maxseg_for(const NextHop &nexthop) const;
  // Connections to it are always worth keeping.
  bool cached_destination(const NextHop &nexthop) const;
};

// "LEVEL", or "LEVEL:NAME:NAME" with the names that a certificate may have; throws BadConfig.
TlsPolicy parse_policy(std::string_view text);

// Reports every bad value, then throws.
Options read_options(const plugin::Config &config, const Personality &personality);

// The table of options, with Postfix's names and therefore a prefix of the protocol where it has one.
#define MANSIO_SMTP_CLIENT_OPTIONS(P, HELO, PORT, LEVEL)                                                               \
  {                                                                                                                    \
    {P HELO, MANSIO_OPT_TEXT, 0, "", "Name sent in EHLO, HELO or LHLO; empty means myhostname."},                      \
        {P "tcp_port", MANSIO_OPT_INTEGER, 0, PORT, "TCP port of next hops that name none."},                          \
        {"tls_security_level", MANSIO_OPT_TEXT, 0, LEVEL,                                                              \
         "none (no TLS), may (when offered, in clear otherwise), encrypt (never in clear), verify (a trusted "         \
         "certificate in the server's name) or secure (a trusted certificate in the next hop's name)."},               \
        {"tls_policy", MANSIO_OPT_LIST, 0, "",                                                                         \
         "Exceptions from tls_security_level by next hop, in a route's words: example.com=encrypt, "                   \
         "[relay.example.net]:587=secure; without a port any port, with .example.com the domains below it; names to "  \
         "match may follow the level: example.com=secure:mx.example.net:.example.org."},                               \
        {"tls_CAfile", MANSIO_OPT_PATH, 0, "",                                                                         \
         "File of the CA certificates that are trusted, PEM; with tls_CApath empty too, the system's."},               \
        {"tls_CApath", MANSIO_OPT_PATH, 0, "",                                                                         \
         "Directory of CA certificates under their hashed names (openssl rehash)."},                                   \
        {"tls_verify_cert_match", MANSIO_OPT_LIST, 0, "hostname",                                                      \
         "Names that a certificate may have at level verify: hostname, nexthop, dot-nexthop, or domains."},            \
        {"tls_secure_cert_match", MANSIO_OPT_LIST, 0, "nexthop, dot-nexthop", "The same at level secure."},            \
        {P "tls_wrappermode", MANSIO_OPT_BOOLEAN, 0, "false",                                                          \
         "Begin with TLS, before the greeting, as servers on port 465 want it (RFC 8314), instead of STARTTLS; needs " \
         "tls_security_level encrypt, verify or secure."},                                                             \
        {P "sasl_auth_enable", MANSIO_OPT_BOOLEAN, 0, "false",                                                         \
         "Authenticate to servers that " P                                                                             \
         "sasl_password_maps has a password for; such mail waits while that is not possible."},                        \
        {P "sasl_password_maps", MANSIO_OPT_LIST, 0, "",                                                               \
         "Tables, each by the NAME of its [lookup.NAME], with user:password for a next hop ([host]:port, [host], "     \
         "domain:port, domain) or for the name of a server."},                                                         \
        {P "sasl_mechanism_filter", MANSIO_OPT_LIST, 0, "",                                                            \
         "Mechanisms that may be used, or with ! before them may not: the first entry that fits counts, static:all "   \
         "fits every one; empty allows all."},                                                                         \
        {P "sasl_security_options", MANSIO_OPT_LIST, 0, "noplaintext, noanonymous",                                    \
         "What a mechanism must be without TLS: noplaintext (nobody can read the password on the way), noanonymous, "  \
         "mutual_auth (the server proves that it knows the password)."},                                               \
        {P "sasl_tls_security_options", MANSIO_OPT_LIST, 0, "",                                                        \
         "The same under TLS, where noanonymous allows PLAIN and LOGIN; empty means " P "sasl_security_options."},     \
        {P "sasl_auth_soft_bounce", MANSIO_OPT_BOOLEAN, 0, "true",                                                     \
         "Keep mail in the queue when a server refuses AUTH for good (535), instead of returning it."},                \
        {"use_chunking", MANSIO_OPT_BOOLEAN, 0, "true",                                                                \
         "Send the content with BDAT (RFC 3030) when the server offers it."},                                          \
        {P "discard_ehlo_keywords", MANSIO_OPT_LIST, 0, "", "Server extensions to ignore, such as CHUNKING or DSN."},  \
        {P "send_xforward_command", MANSIO_OPT_BOOLEAN, 0, "false",                                                    \
         "Tell a server that offers XFORWARD, such as a content filter, who brought the message into the mail "        \
         "system."},                                                                                                   \
        {P "mx_address_limit", MANSIO_OPT_INTEGER, 0, "5",                                                             \
         "How many server addresses a delivery may consider; 0 is no limit."},                                         \
        {P "mx_session_limit", MANSIO_OPT_INTEGER, 0, "2", "How many sessions a delivery may try; 0 is no limit."},    \
        {P "randomize_addresses", MANSIO_OPT_BOOLEAN, 0, "true", "Try servers of equal preference in random order."},  \
        {"inet_protocols", MANSIO_OPT_TEXT, 0, "all", "Address families to connect over: all, ipv4 or ipv6."},         \
        {"bind_address", MANSIO_OPT_TEXT, 0, "",                                                                       \
         "Source address of IPv4 connections; empty leaves it to the system."},                                        \
        {"bind_address6", MANSIO_OPT_TEXT, 0, "",                                                                      \
         "Source address of IPv6 connections; empty leaves it to the system."},                                        \
        {"source_pools", MANSIO_OPT_LIST, 0, "",                                                                       \
         "Source addresses by the pool that a message names, as `{ bulk = [\"192.0.2.1\", \"2001:db8::1\"] }`; one "   \
         "of "                                                                                                         \
         "the server's address family is taken at random."},                                                           \
        {P "fallback_relay", MANSIO_OPT_LIST, 0, "",                                                                   \
         "Next hops to try when the destination is not found or no server of it takes the mail for now."},             \
        {P "failover_time", MANSIO_OPT_DURATION, 0, "5s",                                                              \
         "How long a server may take to connect and greet while another is left to try; it doubles with each "         \
         "failure in a row, up to eight times; 0 means as long as the time limits below allow."},                      \
        {P "probe_interval", MANSIO_OPT_DURATION, 0, "30s",                                                            \
         "How long a server address that did not connect or greet is left alone while there are others; then one "     \
         "delivery tries it. It doubles with each failure in a row, up to eight times."},                              \
        {P "connection_cache_on_demand", MANSIO_OPT_BOOLEAN, 0, "true",                                                \
         "Keep connections for a while after use where a next hop has several deliveries at once or in close "         \
         "succession."},                                                                                               \
        {P "connection_cache_destinations", MANSIO_OPT_LIST, 0, "",                                                    \
         "Next hops whose connections are always kept, in a route's words: example.com, [host]:port, an address or "   \
         "unix:/path; without a port any port, with .example.com the domains below it."},                              \
        {P "connection_cache_time_limit", MANSIO_OPT_DURATION, 0, "2s",                                                \
         "How long an idle connection is kept; 0 turns reuse off."},                                                   \
        {P "connection_reuse_time_limit", MANSIO_OPT_DURATION, 0, "300s",                                              \
         "Age at which a connection is no longer reused."},                                                            \
        {P "connection_reuse_count_limit", MANSIO_OPT_INTEGER, 0, "0",                                                 \
         "Deliveries after which a connection is no longer reused; 0 is no limit."},                                   \
        {P "pix_workarounds", MANSIO_OPT_LIST, 0, "disable_esmtp, delay_dotcrlf",                                      \
         "What to do about a server behind a Cisco PIX that fixes SMTP up: disable_esmtp (say HELO), delay_dotcrlf "   \
         "(send the final dot after a pause, in a packet of its own)."},                                               \
        {P "pix_workaround_threshold_time", MANSIO_OPT_DURATION, 0, "500s",                                            \
         "Age of a message from which on pix_workarounds apply to it."},                                               \
        {P "pix_workaround_delay_time", MANSIO_OPT_DURATION, 0, "10s", "The pause of delay_dotcrlf."},                 \
        {P "tcp_maxseg", MANSIO_OPT_LIST, 0, "",                                                                       \
         "Largest TCP segment by next hop, for paths whose MTU cannot be found out, in a route's words: "              \
         "example.com=536; without a port any port, with .example.com the domains below it."},                         \
        {"conversion_size_limit", MANSIO_OPT_SIZE, 0, "67108864",                                                      \
         "Largest message that is converted for a server without 8BITMIME; larger ones bounce (5.6.3)."},              \
        {P "connect_timeout", MANSIO_OPT_DURATION, 0, "30s", "Time limit for connecting to one address."},             \
        {P "helo_timeout", MANSIO_OPT_DURATION, 0, "300s",                                                             \
         "Time limit for the greeting, and for the reply to the name."},                                               \
        {P "starttls_timeout", MANSIO_OPT_DURATION, 0, "300s", "Time limit for STARTTLS and the handshake."},          \
        {P "xforward_timeout", MANSIO_OPT_DURATION, 0, "300s", "Time limit for sending XFORWARD and for its reply."},  \
        {P "mail_timeout", MANSIO_OPT_DURATION, 0, "300s", "Time limit for sending MAIL and for its reply."},          \
        {P "rcpt_timeout", MANSIO_OPT_DURATION, 0, "300s", "Time limit for sending RCPT and for its reply."},          \
        {P "data_init_timeout", MANSIO_OPT_DURATION, 0, "120s", "Time limit for sending DATA and for its reply."},     \
        {P "data_xfer_timeout", MANSIO_OPT_DURATION, 0, "180s", "Longest wait for progress while content is sent."},   \
        {P "data_done_timeout", MANSIO_OPT_DURATION, 0, "600s",                                                        \
         "Time limit for the reply after the end of the content."},                                                    \
        {P "rset_timeout", MANSIO_OPT_DURATION, 0, "20s", "Time limit for RSET and its reply."},                       \
        {P "quit_timeout", MANSIO_OPT_DURATION, 0, "300s", "Time limit for QUIT and, if it is awaited, its reply."},   \
        {P "skip_quit_response", MANSIO_OPT_BOOLEAN, 0, "true", "Close after QUIT without waiting for the reply."}, {} \
  }

inline constexpr mansio_option kSmtpOptions[] = MANSIO_SMTP_CLIENT_OPTIONS("smtp_", "helo_name", "25", "may");
inline constexpr mansio_option kLmtpOptions[] = MANSIO_SMTP_CLIENT_OPTIONS("lmtp_", "lhlo_name", "24", "none");
#undef MANSIO_SMTP_CLIENT_OPTIONS

}  // namespace mansio::smtp
