// The delivery log: one line a recipient and attempt, with Postfix's fields, either as JSON or, with [log] format
// "postfix", in the very form that log tools made for Postfix parse. The fields and their order follow Postfix's
// log_adhoc(); delays a/b/c/d are: before the queue took it up, in the queue, connection set-up, transmission.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/process/syslog.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::queue {

// What a server said, as Postfix prints it: "250 2.0.0 Ok", or of a failure "host mx.example.com[192.0.2.1] said: 550
// 5.1.1 …". Our own words (no code) stay as they are.
std::string said_text(std::uint16_t smtp_code, EnhancedStatus enhanced, std::string_view text, std::string_view relay,
                      bool sent);

// Two significant digits, at most two after the point, no trailing zeros: "0", "0.05", "1.2", "12", "340".
std::string format_delay(Nanos delay);

struct DeliveryLine {
  MessageId id;
  const Envelope &envelope;
  const Recipient &recipient;
  const wire::RecipientOutcome &outcome;
  std::string_view transport;
  std::int32_t pid = 0;                                       // 0: the queue itself decided
  Nanos arrival = 0, taken_up = 0, leased = 0, reported = 0;  // wall
  bool possible_duplicate = false;
  bool expired = false;  // given up for its age or by an operator; `outcome` is what was last said
};

// What the line says of the delivery, in the log's words.
struct DeliveryWords {
  std::string delay, delays, dsn, text;
  std::string_view status, relay;  // of the line
};
DeliveryWords words_of(const DeliveryLine &line);

class DeliveryLog {
 public:
  DeliveryLog(Logger &log, const Clock &clock, const config::Settings &settings);

  void delivery(const DeliveryLine &line);
  void active(MessageId id, const Envelope &envelope);  // "queue active"
  void removed(MessageId id);
  // One a message; delivery() has one a recipient beside it, but not in Postfix's form. `forced`: by an operator.
  void expired(MessageId id, const Envelope &envelope, bool forced);

 private:
  void postfix(std::string_view program, std::int32_t pid, MessageId id, std::string_view text);

  Logger *log_;
  const Clock *clock_;
  bool postfix_;
  std::string host_, name_;
  // For Postfix's lines in syslog, which writes the header itself and is told the tag apart: the logger's own way there
  // would say "queue" for all.
  std::unique_ptr<process::Syslog> syslog_;
};

}  // namespace mansio::queue
