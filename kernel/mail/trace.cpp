#include "kernel/mail/trace.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

// For use outside a comment or inside one: what has a meaning in either becomes '?'.
std::string token(std::string_view text, bool utf8) {
  auto out = printable(text.substr(0, kMaxDomain), utf8);
  for (auto &c : out) {
    if (c == ' ' || c == '(' || c == ')' || c == '<' || c == '>' || c == ';' || c == '"' || c == '\\' || c == ',')
      c = '?';
  }
  return out.empty() ? "unknown" : out;
}

}  // namespace

std::string rfc5322_date(Nanos wall, int minutes_east) {
  static constexpr std::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  using namespace std::chrono;
  const auto local = floor<seconds>(sys_time<nanoseconds>{nanoseconds{wall}}) + minutes{minutes_east};
  const auto day = floor<days>(local);
  const year_month_day date{day};
  const hh_mm_ss time{local - day};
  const int offset = minutes_east < 0 ? -minutes_east : minutes_east;
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} {}{:02}{:02}", kDays[weekday{day}.c_encoding()],
                     static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                     static_cast<int>(date.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count(), minutes_east < 0 ? '-' : '+', offset / 60, offset % 60);
}

std::string_view protocol_name(SessionKind kind) {
  static constexpr std::string_view kNames[3][4] = {{"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
                                                    {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
                                                    {"LMTP", "LMTPS", "LMTPA", "LMTPSA"}};
  static constexpr std::string_view kUtf8Lmtp[4] = {"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"};
  const auto with = (kind.auth ? 2u : 0u) + (kind.tls ? 1u : 0u);
  if (kind.lmtp) return kind.smtputf8 ? kUtf8Lmtp[with] : kNames[2][with];
  if (kind.smtputf8) return kNames[1][with];
  return kind.esmtp || with != 0 ? kNames[0][with] : "SMTP";
}

std::string received_header(const Envelope &envelope, std::string_view hostname, MessageId id, bool with_user) {
  const bool utf8 = envelope.smtputf8;
  std::string out = "Received: ";
  if (!envelope.client_address.empty()) {
    const auto literal = address_literal(envelope.client_address);
    fmt::format_to(std::back_inserter(out), "from {} ({} {})\r\n\t", token(envelope.helo, utf8),
                   token(envelope.client_name, utf8), literal.empty() ? "[unknown]" : literal);
  }
  if (!envelope.tls_version.empty()) {
    fmt::format_to(std::back_inserter(out), "(using {} with cipher {})\r\n\t", token(envelope.tls_version, false),
                   token(envelope.tls_cipher, false));
  }
  if (with_user && !envelope.auth_user.empty())
    fmt::format_to(std::back_inserter(out), "(Authenticated sender: {})\r\n\t", token(envelope.auth_user, utf8));
  fmt::format_to(std::back_inserter(out), "by {} (Mansio)", hostname);
  if (!envelope.protocol.empty()) fmt::format_to(std::back_inserter(out), " with {}", token(envelope.protocol, false));
  fmt::format_to(std::back_inserter(out), " id {}", to_string(id));
  if (envelope.recipients.size() == 1) {
    const auto &recipient = envelope.recipients.front();
    const auto &address = recipient.original.empty() ? recipient.address : recipient.original;
    if (utf8 || is_ascii(address)) {
      fmt::format_to(std::back_inserter(out), "\r\n\tfor <{}>", printable(address, utf8));
    }
  }
  if (const auto priority = int{static_cast<std::int8_t>(envelope.priority)}; priority != 0)
    fmt::format_to(std::back_inserter(out), " PRIORITY {}", priority);
  fmt::format_to(std::back_inserter(out), ";\r\n\t{}\r\n", rfc5322_date(envelope.arrival));
  return out;
}

std::string return_path_header(std::string_view sender) {
  return fmt::format("Return-Path: <{}>\r\n", printable(sender, true));
}

std::string delivered_to_header(std::string_view recipient) {
  return fmt::format("Delivered-To: {}\r\n", printable(recipient, true));
}

}  // namespace mansio
