#include "kernel/queue/delivery_log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "kernel/base/without_controls.hpp"

namespace mansio::queue {
namespace {

constexpr std::string_view status_name(wire::DeliveryStatus status) {
  switch (status) {
    case wire::DeliveryStatus::Sent:
      return "sent";
    case wire::DeliveryStatus::Bounced:
      return "bounced";
    case wire::DeliveryStatus::Deferred:
    case wire::DeliveryStatus::Uncertain:
      break;
  }
  return "deferred";
}

std::string dsn_of(const wire::RecipientOutcome &o) {
  if (!o.enhanced.empty()) return to_string(o.enhanced);
  switch (o.status) {
    case wire::DeliveryStatus::Sent:
      return "2.0.0";
    case wire::DeliveryStatus::Bounced:
      return "5.0.0";
    default:
      return "4.0.0";
  }
}

}  // namespace

std::string said_text(std::uint16_t smtp_code, EnhancedStatus enhanced, std::string_view text, std::string_view relay,
                      bool sent) {
  if (smtp_code == 0) return std::string{text};
  auto reply = fmt::format("{} {}{}{}", smtp_code, enhanced.empty() ? "" : to_string(enhanced),
                                 enhanced.empty() ? "" : " ", text);
  if (sent || relay.empty() || relay == "none" || relay == "local") return reply;
  const auto host = relay.ends_with(']') ? relay : relay.substr(0, relay.rfind(':'));  // without the port
  return fmt::format("host {} said: {}", host, reply);
}

std::string format_delay(Nanos delay) {
  if (delay < 0) delay = 0;
  const double seconds = static_cast<double>(delay) / kSecond;
  if (seconds >= 9.95) return fmt::format("{:.0f}", seconds);
  auto text = seconds >= 0.995 ? fmt::format("{:.1f}", seconds) : fmt::format("{:.2f}", seconds);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

DeliveryLog::DeliveryLog(Logger &log, const Clock &clock, const config::Settings &settings)
    : log_(&log), clock_(&clock), postfix_(settings.log.format == config::LogFormat::Postfix) {
  host_ = settings.myhostname.substr(0, settings.myhostname.find('.'));
  if (host_.empty()) host_ = "localhost";
  name_ = settings.log.syslog_name;
  if (postfix_ && settings.log.target == "syslog") syslog_ = std::make_unique<process::Syslog>();
}

void DeliveryLog::postfix(std::string_view program, std::int32_t pid, MessageId id, std::string_view text) {
  const auto line = fmt::format("{}: {}", to_string(id), text);
  if (syslog_) return syslog_->send(LogLevel::Info, fmt::format("{}/{}", name_, program), pid, line);
  const std::time_t seconds = clock_->wall() / kSecond;
  std::tm t{};
  localtime_r(&seconds, &t);
  constexpr std::string_view months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  log_->line(LogLevel::Info, fmt::format("{} {:2} {:02}:{:02}:{:02} {} {}/{}[{}]: {}\n", months[t.tm_mon], t.tm_mday,
                                         t.tm_hour, t.tm_min, t.tm_sec, host_, name_, program, pid, line));
}

DeliveryWords words_of(const DeliveryLine &l) {
  const auto &o = l.outcome;
  const Nanos taken_up = std::clamp(l.taken_up, std::min(l.arrival, l.leased), l.leased);
  DeliveryWords w;
  w.delay = format_delay(l.reported - l.arrival);
  w.delays = format_delay(taken_up - l.arrival) + "/" + format_delay(l.leased - taken_up) + "/" +
             format_delay(o.connect_ns) + "/" + format_delay(o.transmit_ns);
  w.dsn = dsn_of(o);
  const auto said = said_text(o.smtp_code, o.enhanced, o.text, o.relay, o.status == wire::DeliveryStatus::Sent);
  w.text = l.expired ? "delivery time expired" + (said.empty() ? "" : ": " + said) : said;
  w.status = l.expired ? std::string_view{"expired"} : status_name(o.status);
  w.relay = o.relay.empty() ? "none" : std::string_view{o.relay};
  return w;
}

void DeliveryLog::delivery(const DeliveryLine &l) {
  if (postfix_ && l.expired) return;  // its qmgr's line for the message is all that Postfix has: see expired()
  const auto &o = l.outcome;
  const auto [delay, delays, dsn, text, status, relay] = words_of(l);
  if (postfix_) {
    std::string line = fmt::format("to=<{}>, ", without_controls(l.recipient.address));
    if (!l.recipient.original.empty() && l.recipient.original != l.recipient.address)
      line += fmt::format("orig_to=<{}>, ", without_controls(l.recipient.original));
    line += fmt::format("relay={}, ", without_controls(relay));
    if (o.connection_use > 1) line += fmt::format("conn_use={}, ", o.connection_use);
    line +=
        fmt::format("delay={}, delays={}, dsn={}, status={} ({})", delay, delays, dsn, status, without_controls(text));
    return postfix(l.transport, l.pid != 0 ? l.pid : ::getpid(), l.id, line);
  }
  log_->info("delivery", {{"qid", l.id},
                          {"from", l.envelope.sender},
                          {"to", l.recipient.address},
                          {"orig_to", l.recipient.original},
                          {"transport", l.transport},
                          {"relay", relay},
                          {"conn_use", o.connection_use},
                          {"delay", delay},
                          {"delays", delays},
                          {"tls", o.tls},
                          {"dsn", dsn},
                          {"status", status},
                          {"text", text},
                          {"uncertain", o.status == wire::DeliveryStatus::Uncertain},
                          {"possible_duplicate", l.possible_duplicate}});
}

void DeliveryLog::active(MessageId id, const Envelope &envelope) {
  if (postfix_) {
    postfix("qmgr", ::getpid(), id,
            fmt::format("from=<{}>, size={}, nrcpt={} (queue active)", without_controls(envelope.sender),
                        envelope.body.size, envelope.recipients.size()));
  } else if (log_->enabled(LogLevel::Debug)) {
    log_->debug(
        "queue active",
        {{"qid", id}, {"from", envelope.sender}, {"size", envelope.body.size}, {"nrcpt", envelope.recipients.size()}});
  }
}

void DeliveryLog::removed(MessageId id) {
  if (postfix_) return postfix("qmgr", ::getpid(), id, "removed");
  log_->debug("removed", {{"qid", id}});
}

void DeliveryLog::expired(MessageId id, const Envelope &envelope, bool forced) {
  if (postfix_)
    return postfix("qmgr", ::getpid(), id,
                   fmt::format("from=<{}>, status={}, returned to sender", without_controls(envelope.sender),
                               forced ? "force-expired" : "expired"));
  log_->info("expired", {{"qid", id}, {"from", envelope.sender}, {"forced", forced}});
}

}  // namespace mansio::queue
