#include "kernel/cli/load/sink_session.hpp"

#include <algorithm>
#include <charconv>

#include "kernel/mail/utf8.hpp"

namespace mansio::cli::load {
namespace {

constexpr std::string_view kEnd = "\r\n.\r\n";

std::string_view trim(std::string_view s) {
  while (s.starts_with(' ')) s.remove_prefix(1);
  while (s.ends_with(' ')) s.remove_suffix(1);
  return s;
}

// "FROM:<a@b> SIZE=3" -> "a@b", "SIZE=3".
void split_path(std::string_view argument, std::string &address, std::string &parameters) {
  const auto colon = argument.find(':');
  auto path = trim(colon == std::string_view::npos ? argument : argument.substr(colon + 1));
  const auto space =
      std::min(path.find("> ") == std::string_view::npos ? path.size() : path.find("> ") + 1, path.size());
  parameters = trim(path.substr(space));
  path = path.substr(0, space);
  if (path.starts_with('<')) path.remove_prefix(1);
  if (path.ends_with('>')) path.remove_suffix(1);
  address = path;
}

}  // namespace

void SinkSession::answer(std::string_view reply) { out_.append(reply).append("\r\n"); }

Task<bool> SinkSession::flush() {
  if (!out_.empty()) {
    const bool sent = co_await connection_.write(out_);
    out_.clear();
    if (!sent) co_return false;
  }
  for (; taken_ > 0; --taken_) sink_.message_taken();
  co_return true;
}

SinkSession::SinkSession(Sink &sink, Protocol::socket socket)
    : sink_(sink), connection_(std::move(socket), sink.watchdog) {
  message_.client_address = connection_.peer();
  message_.protocol = sink.options.lmtp ? "LMTP" : "SMTP";
  if (sink.options.trace) connection_.trace();
}

// Applies the rules for a stage. False: the connection ends here. `reply` is what a rule says instead of ours.
Task<bool> SinkSession::judge(std::string_view stage, std::string_view argument, const std::string *&reply,
                              std::string_view command) {
  const auto verdict = sink_.faults.judge(stage, argument, command);
  reply = verdict.reply;
  if (verdict.delay.count() > 0 || verdict.drop) {
    if (!co_await flush()) co_return false;
  }
  co_return co_await obey(sink_, connection_, verdict, command.empty() ? stage : command, argument);
}

Task<> SinkSession::wait(std::chrono::nanoseconds time) {
  asio::steady_timer timer{sink_.loop, time};
  ErrorCode ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Task<> SinkSession::run() {
  ++sink_.totals.connections;
  if (co_await greet()) {
    while (const auto line = co_await connection_.read_line()) {
      const std::string copy{*line};  // handlers read on
      if (!co_await command(copy)) break;
      if (!connection_.line_buffered() && !co_await flush()) break;
    }
  }
  for (; taken_ > 0; --taken_) sink_.message_taken();
  connection_.close();
  sink_.count(&SinkTotals::ended);
}

Task<bool> SinkSession::greet() {
  if (sink_.options.implicit_tls) {
    auto &context = *sink_.options.tls;
    const bool secured = co_await connection_.accept_tls(context);
    if (!secured) co_return false;
    ++sink_.totals.tls_connections;
  }
  const std::string *reply = nullptr;
  if (!co_await judge("CONNECT", "", reply)) co_return false;
  if (reply) {
    answer(*reply);
    if (!co_await flush() || reply->front() >= '4') co_return false;
    co_return true;
  }
  const auto &options = sink_.options;
  // A PIX hides all of a greeting but its digits and what surrounds them.
  answer(options.pix ? std::string{"220 ****************0******0*********20 **200**0*********0*00"}
                     : fmt::format("220 {} {} Mansio sink", options.hostname,
                                   options.lmtp    ? "LMTP"
                                   : options.esmtp ? "ESMTP"
                                                   : "SMTP"));
  co_return co_await flush();
}

Task<bool> SinkSession::command(std::string_view line) {
  const auto space = std::min(line.find(' '), line.size());
  std::string verb = lower(line.substr(0, space));
  std::ranges::transform(verb, verb.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  const auto argument = trim(line.substr(space));
  const bool hello_verb = verb == "EHLO" || verb == "HELO" || verb == "LHLO";
  const bool accepted_bdat = verb == "BDAT";  // its octets follow whatever the reply will be

  const std::string *reply = nullptr;
  if (!accepted_bdat) {
    const std::string_view stage = hello_verb ? std::string_view{"HELO"} : std::string_view{verb};
    if (!co_await judge(stage, argument, reply, verb)) co_return false;
  }
  if (reply && reply->front() >= '4') {
    if (verb == "RCPT") ++sink_.totals.refused_recipients;
    answer(*reply);
    if (reply->starts_with("421")) {
      co_await flush();
      co_return false;
    }
    co_return true;
  }
  const auto replied = out_.size();
  if (hello_verb && !(verb == "EHLO" && !sink_.options.esmtp)) {
    if (!co_await hello(verb, argument)) co_return false;
  } else if (verb == "MAIL") {
    mail(argument);
  } else if (verb == "RCPT") {
    take_recipient(argument);
  } else if (verb == "DATA") {
    co_return co_await data();
  } else if (verb == "BDAT") {
    co_return co_await bdat(argument);
  } else if (verb == "STARTTLS") {
    co_return co_await start_tls();
  } else if (verb == "RSET") {
    reset();
    answer("250 2.0.0 Ok");
  } else if (verb == "NOOP") {
    answer("250 2.0.0 Ok");
  } else if (verb == "VRFY") {
    answer("252 2.0.0 Try it");
  } else if (verb == "QUIT") {
    sink_.count(&SinkTotals::quits);
    answer("221 2.0.0 Bye");
    co_await flush();
    co_return false;
  } else {
    ++sink_.totals.protocol_errors;
    answer("500 5.5.2 Unknown command");
  }
  if (reply) {  // success in other words
    out_.resize(replied);
    answer(*reply);
  }
  co_return true;
}

Task<bool> SinkSession::hello(std::string_view verb, std::string_view argument) {
  const auto &options = sink_.options;
  reset();
  if (options.lmtp != (verb == "LHLO")) {
    ++sink_.totals.protocol_errors;
    answer(options.lmtp ? "500 5.5.1 This is LMTP: say LHLO" : "500 5.5.1 This is SMTP");
    co_return true;
  }
  message_.helo = argument;
  if (!options.lmtp) message_.protocol = verb == "HELO" ? "SMTP" : "ESMTP";
  if (verb == "HELO") {
    answer(fmt::format("250 {}", options.hostname));
    co_return true;
  }
  std::vector<std::string> lines{options.hostname};
  const auto offer = [&](std::string keyword) {
    if (!options.without.contains(keyword.substr(0, keyword.find(' ')))) lines.push_back(std::move(keyword));
  };
  offer("PIPELINING");
  offer(options.size_limit == 0 ? "SIZE" : fmt::format("SIZE {}", options.size_limit));
  offer("8BITMIME");
  offer("SMTPUTF8");
  offer("ENHANCEDSTATUSCODES");
  offer("CHUNKING");
  offer("DSN");
  if (options.tls && !connection_.secure()) offer("STARTTLS");
  for (std::size_t i = 0; i < lines.size(); ++i)
    answer(fmt::format("250{}{}", i + 1 == lines.size() ? ' ' : '-', lines[i]));
  co_return true;
}

Task<bool> SinkSession::start_tls() {
  if (!sink_.options.tls || connection_.secure()) {
    ++sink_.totals.protocol_errors;
    answer("503 5.5.1 Not now");
    co_return true;
  }
  answer("220 2.0.0 Go ahead");
  if (!co_await flush()) co_return false;
  reset();
  auto &context = *sink_.options.tls;
  const bool secured = co_await connection_.accept_tls(context);
  ++(secured ? sink_.totals.tls_connections : sink_.totals.protocol_errors);
  co_return secured;
}

void SinkSession::mail(std::string_view argument) {
  if (mail_seen_ || (message_.helo.empty() && sink_.options.lmtp)) {
    ++sink_.totals.protocol_errors;
    return answer("503 5.5.1 Not now");
  }
  split_path(argument, message_.sender, message_.sender_parameters);
  mail_seen_ = true;
  answer("250 2.1.0 Ok");
}

void SinkSession::take_recipient(std::string_view argument) {
  if (!mail_seen_) {
    ++sink_.totals.protocol_errors;
    return answer("503 5.5.1 MAIL first");
  }
  auto &recipient = message_.recipients.emplace_back();
  split_path(argument, recipient.address, recipient.parameters);
  answer("250 2.1.5 Ok");
}

void SinkSession::store(std::string_view bytes) {
  size_ += bytes.size();
  if (sink_.keeps_content() && message_.content.size() < (std::size_t{1} << 30)) message_.content.append(bytes);
}

Task<bool> SinkSession::data() {
  if (message_.recipients.empty()) {  // no error of a client that pipelines
    answer("503 5.5.1 No valid recipient");
    co_return true;
  }
  answer("354 End with a dot on a line of its own");
  if (!co_await flush()) co_return false;
  const auto &options = sink_.options;
  if (options.abort_data) {
    co_await wait(*options.abort_data);
    ++sink_.totals.refused_messages;
    answer("550 5.3.0 Error: command failed");
    co_await flush();
    co_return false;
  }
  if (options.read_delay.count() > 0) co_await wait(options.read_delay);
  co_return co_await content();
}

Task<bool> SinkSession::content() {
  // The terminator may be cut anywhere, so its last octets stay in `tail` until more come. The command's line end
  // counts as the one before a dot that comes at once.
  std::string tail = "\r\n";
  std::size_t virtual_octets = 2;
  for (;;) {
    const auto bytes = co_await connection_.read_some();
    if (!bytes) co_return false;
    const auto had = tail.size();
    tail.append(*bytes);
    const auto end = tail.find(kEnd);
    if (end != std::string::npos) {
      const auto after = end + kEnd.size();
      connection_.unread(had + bytes->size() - after);
      store(std::string_view{tail}.substr(virtual_octets, end + 2 > virtual_octets ? end + 2 - virtual_octets : 0));
      break;
    }
    const auto keep_from = tail.size() - std::min(tail.size(), kEnd.size() - 1);
    if (keep_from > virtual_octets) {
      store(std::string_view{tail}.substr(virtual_octets, keep_from - virtual_octets));
      virtual_octets = 0;
    } else {
      virtual_octets -= keep_from;
    }
    tail.erase(0, keep_from);
  }
  for (auto at = message_.content.starts_with('.') ? 0 : message_.content.find("\n."); at != std::string::npos;
       at = message_.content.find("\n.", at)) {
    at += message_.content[at] == '\n' ? 1 : 0;
    message_.content.erase(at, 1);
  }
  co_return co_await end_of_data();
}

Task<bool> SinkSession::bdat(std::string_view argument) {
  const auto space = std::min(argument.find(' '), argument.size());
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(argument.data(), argument.data() + space, length);
  const bool last = equals_nocase(trim(argument.substr(space)), "LAST");
  if (error != std::errc{} || end != argument.data() + space) {
    ++sink_.totals.protocol_errors;
    answer("501 5.5.4 BDAT takes a size");
    co_await flush();
    co_return false;  // where its octets end nobody knows
  }
  const bool welcome = !message_.recipients.empty();
  while (length > 0) {
    const auto bytes = co_await connection_.read_some();
    if (!bytes) co_return false;
    const auto n = std::min<std::uint64_t>(length, bytes->size());
    connection_.unread(bytes->size() - n);
    if (welcome) store(bytes->substr(0, n));
    length -= n;
  }
  message_.bdat = true;
  if (!welcome) {
    answer("503 5.5.1 No valid recipient");
    co_return true;
  }
  if (last) co_return co_await end_of_data();
  const std::string *reply = nullptr;
  if (!co_await judge("BDAT", argument, reply)) co_return false;
  answer(reply ? std::string_view{*reply} : std::string_view{"250 2.0.0 Go on"});
  if (reply && reply->front() >= '4') reset();
  co_return true;
}

// The one reply of SMTP, or one for each recipient of LMTP.
Task<bool> SinkSession::end_of_data() {
  const std::size_t replies = sink_.options.lmtp ? message_.recipients.size() : 1;
  std::size_t taken = 0;
  for (std::size_t i = 0; i < replies; ++i) {
    const std::string *reply = nullptr;
    const std::string argument = sink_.options.lmtp ? message_.recipients[i].address : message_.sender;
    if (!co_await judge("DATA_END", argument, reply, ".")) co_return false;
    if (reply && reply->front() >= '4') {
      if (sink_.options.lmtp) ++sink_.totals.refused_recipients;
      answer(*reply);
    } else if (sink_.options.size_limit != 0 && size_ > sink_.options.size_limit) {
      answer("552 5.3.4 Message too big");
    } else {
      ++taken;
      answer(reply ? std::string_view{*reply} : std::string_view{"250 2.0.0 Ok"});
    }
    if (reply && reply->starts_with("421")) {
      co_await flush();
      co_return false;
    }
  }
  if (taken > 0) {
    ++taken_;
    message_.tls = connection_.secure();
    sink_.take(message_, size_, sink_.options.lmtp ? taken : message_.recipients.size());
  } else {
    ++sink_.totals.refused_messages;
  }
  reset();
  co_return true;
}

void SinkSession::reset() {
  mail_seen_ = message_.bdat = false;
  message_.sender.clear();
  message_.sender_parameters.clear();
  message_.recipients.clear();
  message_.content.clear();
  size_ = 0;
}

}  // namespace mansio::cli::load
