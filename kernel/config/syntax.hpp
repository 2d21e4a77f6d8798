// The grammars of texts in the configuration: each checks one text and puts it into the form that the rest of the
// program compares (domains as lower-case A-labels, networks in CIDR form).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::config {

struct Syntax {
  std::string_view name;                 // for the reference: "network"
  std::string_view expected;             // for messages: `a network such as "192.0.2.0/24"`
  bool (*canonical)(std::string &text);  // false: not of this form; `text` is then unspecified
};

extern const Syntax kLine;           // any text without control characters
extern const Syntax kHostname;       // "mail.example.com"
extern const Syntax kDomain;         // "example.com"
extern const Syntax kDomainPattern;  // ... or ".example.com", its subdomains; or "[192.0.2.1]"
extern const Syntax kNetwork;        // "192.0.2.0/24", "[2001:db8::]/32"
extern const Syntax kIp;             // "192.0.2.1", "2001:db8::1"
extern const Syntax kListen;         // "127.0.0.1:25", "[::1]:25", "*:25"
extern const Syntax kDnsServer;      // "127.0.0.1", "127.0.0.1:53", "[::1]:53"
extern const Syntax kNexthop;        // "example.com", "[host]:port", "unix:/path"
extern const Syntax kRecipient;      // "user@example.com"
extern const Syntax kLocalUser;      // "user", "user@example.com" or "@example.com"
extern const Syntax kSender;         // "user@example.com", "@example.com" or "<>"
extern const Syntax kMailbox;        // "user" or "user@example.com"
extern const Syntax kRefusal;        // "550 5.1.1 no such user"
extern const Syntax kLogTarget;      // "stderr", "syslog" or an absolute path
extern const Syntax kSyslogName;     // "mansio", "postfix/out"
extern const Syntax kPlugin;         // "transport-smtp", "lua"
extern const Syntax kTableName;      // name of a [lookup.NAME]
extern const Syntax kRewriting;      // "canonical", "virtual", "generic"
extern const Syntax kAddressClass;   // "envelope_sender", "header_recipient"
extern const Syntax kParentMatch;    // "access_maps", "transport_maps"
extern const Syntax kFilterName;     // name of a [filter.NAME] or [policy.NAME]
extern const Syntax kRateName;       // name of a [rate.NAME], "rate-local"
extern const Syntax kAuthName;       // "", or name of an [auth.NAME]
extern const Syntax kTransportName;  // name of a [transport.NAME]
extern const Syntax kContentFilter;  // "", "dspam", "dspam:[127.0.0.1]:10024", "dspam:unix:/run/dspam.sock"
extern const Syntax kOverride;       // "no_address_mappings"
extern const Syntax kEhloKeyword;
extern const Syntax kFieldName;  // of the header: "X-Campaign", "" for none
extern const Syntax kUser;       // a system user
extern const Syntax kNotifyClass;
extern const Syntax kDestination;  // "example.com", ".example.com" or a next hop
extern const Syntax kRate;         // "10/s", "100/m", "500/15m"
extern const Syntax kDate;         // "2026-11-30"
extern const Syntax kWeighted;     // "new=1", "new"
extern const Syntax kReplyCode;    // "421", "4.7.1", "4.7.*"
extern const Syntax kPattern;      // a regular expression
extern const Syntax kFeedback;     // "1", "0.5", "1/5", "1/concurrency", "1/sqrt_concurrency"

// "HOST:PORT" taken apart; HOST without brackets. `default_port` 0: a port must be given.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port = 0);

// NAME of [listener.NAME] and [transport.NAME]; it becomes part of process names and metrics.
bool is_table_name(std::string_view name);

}  // namespace mansio::config
