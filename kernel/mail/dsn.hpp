// Composes delivery status notifications: a complete message in canonical CRLF form from plain values, with no I/O
// and no clock. RFC 3464 (multipart/report, message/delivery-status), RFC 3461 section 6 (what RET, ENVID and ORCPT
// ask for), RFC 6533 (the global variants when the message was SMTPUTF8), RFC 3834 (Auto-Submitted).
//
// The same input gives the same octets: recovery relies on it, and so may tests. The sender of the notification
// is always the null path; refusing to notify about a notification is the caller's job.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/mail/dsn_template.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::dsn {

// PostmasterCopy and PostmasterDelay: for the operator, about mail that failed or waits; headers only.
enum class Kind : std::uint8_t { Failure, Delay, Success, PostmasterCopy, PostmasterDelay };
enum class Action : std::uint8_t { Failed, Delayed, Delivered, Relayed, Expanded };  // RFC 3464 section 2.3.3

struct Recipient {
  std::string address;   // Final-Recipient
  std::string original;  // as RCPT gave it; "" when the same
  std::string orcpt;     // decoded; "" when not given
  Action action = Action::Failed;
  EnhancedStatus status;        // empty: 5.0.0, 4.0.0 or 2.0.0, as the action has it
  std::uint16_t smtp_code = 0;  // of the remote reply; 0: the reason is our own
  std::string text;             // the reply's text, or the reason
  std::string remote_mta;       // "mx.example.com"; "" = none
  Nanos last_attempt = 0;       // wall; 0 = not known
  Nanos will_retry_until = 0;   // wall; for Action::Delayed
};

struct Input {
  Kind kind = Kind::Failure;
  std::string reporting_mta;  // our host name
  std::string to;             // whom it goes to: the original sender, or a postmaster
  std::string sender;         // original sender; "" = null
  DsnParent parent;           // the message reported on; names this notification (Message-ID, boundary)
  std::vector<Recipient> recipients;
  Ret ret = Ret::NotGiven;
  std::string envid;      // decoded
  Nanos arrival = 0;      // of the parent, wall
  Nanos now = 0;          // date of this notification, wall
  bool smtputf8 = false;  // the parent was received with SMTPUTF8

  // The first octets of the parent, at least as many as bytes_wanted() says (or all of it). Borrowed.
  std::string_view original;
  std::uint64_t original_size = 0;
  std::uint64_t size_limit = 50'000;  // bounce_size_limit: a larger original is returned as its header section
};

struct Notification {
  std::string text;
  BodyInfo body;          // of `text`; its hops are those of a new message
  bool smtputf8 = false;  // needed to transmit it
  BodyType body_type = BodyType::SevenBit;
};

// How much of the parent compose() can use. A header section beyond the second figure is returned cut.
inline constexpr std::uint64_t kMostHeader = 100 * 1024;
std::uint64_t bytes_wanted(const Input &input);
bool returns_full_message(const Input &input);

Notification compose(const Input &input, const Templates &templates);

}  // namespace mansio::dsn
