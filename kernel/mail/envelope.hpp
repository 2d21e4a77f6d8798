// Envelope: all that Mansio knows of a message besides its content. Written once, at commit, as
// type-length-value (docs/spool-format.md); a reader skips types it does not know.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/id.hpp"
#include "kernel/base/result.hpp"
#include "kernel/mail/store_key.hpp"

namespace mansio {

// RFC 3461 section 4.1, as bits. 0: not given, which means FAILURE (and DELAY if we choose to).
enum Notify : std::uint8_t { kNotifyNever = 1, kNotifySuccess = 2, kNotifyFailure = 4, kNotifyDelay = 8 };
enum class Ret : std::uint8_t { NotGiven, Full, Hdrs };         // RFC 3461 section 4.3
enum class BodyType : std::uint8_t { SevenBit, EightBitMime };  // RFC 6152
enum class Durability : std::uint8_t { Power, Process };        // what a 250 promises; docs/durability.md

// Where recipients go: a configured transport instance and its next hop ("" = by the recipient's domain).
struct Route {
  std::string transport;
  std::string nexthop;
  bool operator==(const Route &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.transport, s.nexthop);
  }
};

struct Recipient {
  std::string address;      // as it is delivered, local-part@domain, unquoted as RFC 5321 needs
  std::string original;     // as RCPT gave it; "" when the same
  std::string orcpt;        // "rfc822;user@example.com", xtext decoded; "" when not given
  std::uint8_t notify = 0;  // Notify bits
  std::uint16_t route = 0;  // index into Envelope::routes
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.address, s.original, s.orcpt, s.notify, s.route);
  }
};

// A DSN cites the message and the event it reports, so that recovery can recognise one already written.
struct DsnParent {
  MessageId id;             // zero: not a DSN of ours
  std::uint32_t event = 0;  // counts the parent's notifications
  bool operator==(const DsnParent &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.id, s.event);
  }
};

// Who brought a message into the mail system, where that is not the client we had it from but one that a content filter
// or a server before us has told us of (XFORWARD). It is for logs, and to be passed on; nothing is decided by it.
struct Origin {
  std::string name, address, helo, protocol;  // "": not known
  std::string ident;                          // the message's id there
  std::uint16_t port = 0;
  bool local = false;  // from that host itself, not from the network
  bool operator==(const Origin &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.address, s.helo, s.protocol, s.ident, s.port, s.local);
  }
};

// What the content needs of a next hop; found while it was received.
struct BodyInfo {
  std::uint64_t size = 0;         // bytes, canonical CRLF form, without dot-stuffing
  bool leading_dots = false;      // some line begins with a dot
  bool eight_bit = false;         // some octet above 127, anywhere
  bool eight_bit_header = false;  // ... in the message's own header section (RFC 6532)
  std::uint16_t hops = 0;         // Received headers, RFC 5321 section 6.3
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.size, s.leading_dots, s.eight_bit, s.eight_bit_header, s.hops);
  }
};

struct Envelope {
  std::string sender;  // "" is the null sender
  std::vector<Recipient> recipients;
  std::vector<Route> routes;
  std::uint32_t config_epoch = 0;  // under which `routes` were made

  Nanos arrival = 0;  // wall, when DATA or the first BDAT came
  BodyInfo body;

  Ret ret = Ret::NotGiven;
  std::string envid;  // xtext decoded
  BodyType body_type = BodyType::SevenBit;
  bool smtputf8 = false;
  bool require_tls = false;

  std::string client_address;  // "192.0.2.1", "2001:db8::1"; "" for mail made here
  std::string client_name;     // PTR confirmed forward, or "unknown"
  std::uint16_t client_port = 0;
  std::string helo;
  std::string protocol;  // "SMTP", "ESMTP", "ESMTPS", ... (RFC 3848)
  std::string tls_version, tls_cipher;
  std::string auth_user, auth_method;  // as whom and how the client has authenticated; "" = not
  std::string auth_sender;             // the original submitter that it named (RFC 4954 section 5)
  std::string listener;
  std::optional<Origin> origin;  // null: the client above
  std::string content_filter;    // "transport:nexthop" that an access table wants for it; "": what the listener has

  std::string tenant, campaign, source_pool;
  std::uint8_t priority = 0;
  Nanos hold_until = 0;  // wall; 0 = not held, INT64_MAX = until released
  DsnParent dsn_parent;
  StoreKey restored;  // what it was called in the store that it came back from; zero: it is no such message
  std::vector<std::pair<std::string, std::string>> metadata;
};

std::string encode_envelope(const Envelope &envelope);
// Fails with Status::Fail on bytes that no version of Mansio wrote.
Result<Envelope> decode_envelope(std::string_view bytes);

}  // namespace mansio
