#include "kernel/cli/load/smtp_client.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/mail/utf8.hpp"

namespace mansio::cli::load {
namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

Task<Reply> SmtpClient::read_reply() {
  Reply reply;
  for (;;) {
    const auto line = co_await connection_.read_line();
    if (!line) {
      reply = lost();
      co_return reply;
    }
    if (line->size() < 3 || !digit((*line)[0]) || !digit((*line)[1]) || !digit((*line)[2])) {
      connection_.close("malformed reply");
      reply = lost();
      co_return reply;
    }
    reply.code = ((*line)[0] - '0') * 100 + ((*line)[1] - '0') * 10 + ((*line)[2] - '0');
    if (!reply.text.empty()) reply.text.push_back('\n');
    reply.text.append(*line);
    if (line->size() == 3 || (*line)[3] != '-') co_return reply;
  }
}

Task<Reply> SmtpClient::ask(std::string_view command) {
  const auto line = fmt::format("{}\r\n", command);
  Reply reply;
  if (co_await connection_.write(line)) {
    reply = co_await read_reply();
  } else {
    reply = lost();
  }
  co_return reply;
}

bool SmtpClient::fail(const Reply &reply, std::string_view at) {
  error_ = fmt::format("{}: {}", at, reply.text);
  permanent_ = reply.code >= 500;
  connection_.close(error_);
  return false;
}

Task<bool> SmtpClient::open() {
  if (!co_await connection_.connect(options_.target, options_.connect)) co_return false;
  if (options_.implicit_tls && !co_await connection_.start_tls(*options_.tls, options_.server_name, options_.verify))
    co_return false;
  const auto greeting = co_await read_reply();
  if (!greeting.positive()) co_return fail(greeting, "greeting");
  if (!options_.greet) co_return true;
  if (!co_await hello()) co_return false;
  if (!options_.tls || connection_.secure()) co_return true;
  if (!starttls_) co_return fail(lost_reply("the server does not offer it"), "STARTTLS");
  const auto ready = co_await ask("STARTTLS");
  if (!ready.positive()) co_return fail(ready, "STARTTLS");
  if (!co_await connection_.start_tls(*options_.tls, options_.server_name, options_.verify)) co_return false;
  co_return co_await hello();
}

Task<bool> SmtpClient::hello() {
  auto command = fmt::format("{} {}", options_.lmtp ? "LHLO" : "EHLO", options_.helo);
  auto reply = co_await ask(command);
  if (reply.code >= 500 && !options_.lmtp) {
    command = fmt::format("HELO {}", options_.helo);
    reply = co_await ask(command);
  }
  if (!reply.positive()) co_return fail(reply, "EHLO");
  pipelining_ = starttls_ = false;
  std::string_view lines = reply.text;
  while (!lines.empty()) {
    const auto newline = std::min(lines.find('\n'), lines.size());
    const auto keyword = lines.substr(0, newline).substr(std::min<std::size_t>(4, newline));
    if (equals_nocase(keyword, "PIPELINING")) pipelining_ = options_.pipelining;
    if (equals_nocase(keyword, "STARTTLS")) starttls_ = true;
    lines.remove_prefix(std::min(newline + 1, lines.size()));
  }
  co_return true;
}

// The worst so far: a lost connection, then a permanent refusal, then a temporary one. The first reason stays.
void SmtpClient::note(Outcome &outcome, const Reply &reply) const {
  const auto kind = reply.code == 0 ? Outcome::Lost : reply.code >= 500 ? Outcome::Permanent : Outcome::Temporary;
  if (outcome.reason.empty()) outcome.reason = reply.text;
  if (kind > outcome.kind) outcome.kind = kind;
}

Task<Outcome> SmtpClient::send(const OutgoingMessage &message) {
  Outcome outcome{Outcome::Accepted, 0, {}};
  auto commands = fmt::format("MAIL FROM:<{}>\r\n", message.sender);
  if (pipelining_) {
    for (const auto &recipient : message.recipients) commands.append("RCPT TO:<").append(recipient).append(">\r\n");
    commands.append("DATA\r\n");
  }
  if (!co_await connection_.write(commands)) {
    note(outcome, lost());
    co_return outcome;
  }

  const auto mail = co_await read_reply();
  if (!mail.positive()) note(outcome, mail);
  if (mail.code == 0 || (!mail.positive() && !pipelining_)) co_return outcome;
  for (const auto &recipient : message.recipients) {
    Reply reply;
    if (pipelining_) {
      reply = co_await read_reply();
    } else {
      commands = fmt::format("RCPT TO:<{}>", recipient);
      reply = co_await ask(commands);
    }
    if (reply.positive()) {
      ++outcome.recipients;
    } else {
      if (mail.positive() || reply.code == 0) note(outcome, reply);  // after a refused MAIL it says nothing new
      if (reply.code == 0) co_return outcome;
    }
  }
  if (!pipelining_ && outcome.recipients == 0) {
    const auto reset = co_await ask("RSET");
    if (!reset.positive()) connection_.close("RSET failed");
    co_return outcome;
  }
  outcome = co_await finish(message, outcome);
  co_return outcome;
}

// DATA's reply (its command has been sent if we pipeline), the content, and what is said of it.
Task<Outcome> SmtpClient::finish(const OutgoingMessage &message, Outcome outcome) {
  Reply data;
  if (pipelining_) {
    data = co_await read_reply();
  } else {
    data = co_await ask("DATA");
  }
  if (data.code != 354) {
    if (outcome.recipients > 0 || data.code == 0) note(outcome, data);
    outcome.recipients = 0;
    if (data.code != 0) {
      const auto reset = co_await ask("RSET");
      if (!reset.positive()) connection_.close("RSET failed");
    }
    co_return outcome;
  }
  std::vector<std::string_view> pieces;
  if (outcome.recipients > 0) pieces = {message.header, message.body};  // else all that is left is to end it
  pieces.emplace_back(".\r\n");
  if (!co_await connection_.write(pieces)) {
    note(outcome, lost());
    outcome.recipients = 0;
    co_return outcome;
  }
  const auto asked = outcome.recipients;
  const std::uint32_t replies = options_.lmtp ? asked : 1;  // RFC 2033: none for recipients that were refused
  outcome.recipients = 0;
  for (std::uint32_t i = 0; i < replies; ++i) {
    const auto reply = co_await read_reply();
    if (reply.positive()) {
      outcome.recipients += options_.lmtp ? 1 : asked;
    } else {
      if (asked > 0 || reply.code == 0) note(outcome, reply);
      if (reply.code == 0) co_return outcome;
    }
  }
  if (outcome.kind != Outcome::Accepted && outcome.recipients > 0) outcome.kind = Outcome::Partly;
  co_return outcome;
}

Task<> SmtpClient::quit() {
  if (connection_.open()) (void)co_await ask("QUIT");
  connection_.close();
}

}  // namespace mansio::cli::load
