// What a session needs of the world, each behind an interface of its own, so that a session can be tested on a
// socket pair with a spool that lives in memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/ingress/authenticators.hpp"
#include "kernel/ingress/reply.hpp"
#include "kernel/io/dns.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/process/shared.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::host {
class StoreSet;
}  // namespace mansio::host

namespace mansio::ingress {

class TablePolicy;
class TlsContext;
struct FilterChain;

struct Client {
  std::string address;           // "192.0.2.1", "2001:db8::1", "unix" for local sockets
  std::string name = "unknown";  // PTR confirmed forward
  std::uint16_t port = 0;
  process::ClientKey key{};
  process::ClientKey counted_as{};         // by limits for one client: `key` without the bits beyond the prefix
  std::string network = "unix";            // the same as a text, with its prefix: "192.0.2.1/32", "[2001:db8::]/84"
  bool trusted = false;                    // in mynetworks
  std::string sasl_username, sasl_method;  // as whom it has authenticated, and how; "" = not

  bool authenticated() const { return !sasl_username.empty(); }
  bool may_relay() const { return trusted || authenticated(); }
};

// May this recipient be given to us, and where would it go?
struct Verdict {
  std::optional<Reply> refusal;
  std::string address;  // as it is delivered
  Route route;
};
class Policy {
 public:
  virtual ~Policy() = default;
  // `recipient` is a parsed path: local-part@domain, or "postmaster". `smtpd`, the listener's, says whether it has to
  // exist, where we know, and what the reply is if it does not.
  virtual Verdict recipient(const config::Smtpd &smtpd, const Client &client, std::string_view sender,
                            std::string_view recipient) = 0;
};

// The queue process, as sessions see it.
class Intake {
 public:
  virtual ~Intake() = default;
  virtual std::optional<Reply> refusal() const = 0;    // why no new MAIL is welcome
  virtual bool slows(const Client &client) const = 0;  // its next message is to wait for in_flow_delay
  virtual void committed(const spool::Committed &message, const Envelope &envelope) = 0;
  // What the spool is called in stores, 0 while it is not known; and what they may have and the spool will not.
  virtual std::uint64_t spool() const { return 0; }
  virtual void abandoned(MessageId) {}
  // Mail for that domain ("@domain": and its subdomains) is to be tried now. How many messages wait for it; an error:
  // not now.
  virtual Task<Result<std::uint64_t>> flush(std::string domain, std::string by) = 0;
};

// Connections and what clients do, over all ingress processes.
class Census {
 public:
  virtual ~Census() = default;
  virtual std::uint32_t connections(std::string_view listener) const = 0;  // now
  // Of kernel/ingress/stress.hpp; as in process::SharedMemory.
  virtual Nanos stressed_until(std::string_view listener) const = 0;
  virtual bool stress(std::string_view listener, Nanos until) = 0;
  virtual bool relax(std::string_view listener, Nanos now) = 0;
  virtual process::Admission connect(std::string_view listener, const process::ClientKey &client,
                                     process::ConnectionLimits limits) = 0;
  virtual void disconnect(std::string_view listener, const process::ClientKey &client) = 0;
  // As process::RateTable's.
  virtual std::uint32_t count_event(std::string_view listener, const process::ClientKey &client,
                                    process::ClientEvent event, process::RateTime time) = 0;
  virtual std::uint32_t counted_events(std::string_view listener, const process::ClientKey &client,
                                       process::ClientEvent event, process::RateTime time) const = 0;
};

// What a QMQP listener has besides.
struct Qmqpd {
  std::vector<config::Network> authorized_clients;
  Nanos timeout = 300 * kSecond;
  Nanos error_delay = 1 * kSecond;
};

// One [listener.NAME]; lives as long as its sessions.
struct Service {
  std::string name;
  config::Smtpd smtpd;
  std::optional<Qmqpd> qmqpd;                  // null: SMTP is spoken
  std::shared_ptr<TlsContext> tls;             // null: no STARTTLS
  std::shared_ptr<const FilterChain> filters;  // null: nobody watches its sessions
  AuthLink auth;                               // whom AUTH asks

  // Counters, for this process.
  struct Counters {
    std::uint64_t connections = 0, refused_connections = 0, messages = 0, recipients = 0, bytes = 0;
    std::uint64_t rejected_recipients = 0, rejected_messages = 0, deferred_messages = 0, timeouts = 0;
    std::array<std::uint64_t, process::kClientEvents> rate_limited{};  // refused by a client's limit, by kind
    std::uint64_t braked_messages = 0;                                 // that had to wait for in_flow_delay
    std::uint64_t protocol_errors = 0, tls_sessions = 0, tls_failures = 0, noncanonical_messages = 0;
    std::uint64_t authentications = 0, authentications_failed = 0, authentications_deferred = 0;
    std::uint64_t stresses = 0;  // times of it that began here
    std::uint64_t sessions = 0;  // now
  } counters;
  bool stressed = false;  // as of the last look (kernel/ingress/stress.hpp)
  Nanos notice_at = 0;    // mono: when the postmaster was last told of trouble of our own
  std::uint64_t notices_left_out = 0;
};

struct Environment {
  asio::io_context &loop;
  const Clock &clock;
  Logger &log;
  const config::Settings &settings;
  std::uint32_t config_epoch;
  spool::Writer &writer;
  Policy &policy;
  Intake &intake;
  Census &census;
  io::Dns *dns;                         // null: client names are not looked up
  const TablePolicy *tables = nullptr;  // asked instead of `policy`; null: no table has a say
  host::StoreSet *stores = nullptr;     // null: mail is kept in the spool alone

  std::optional<Reply> refusal() const;  // why no new mail is welcome
};

}  // namespace mansio::ingress
