#include "kernel/ingress/session.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "kernel/ingress/client_name.hpp"
#include "kernel/ingress/deposit.hpp"
#include "kernel/ingress/stress.hpp"
#include "kernel/mail/trace.hpp"
#include "mansio/draft/filter.h"

namespace mansio::ingress {
namespace {

constexpr Nanos kLastWords = 5 * kSecond;  // for a 421 to a client that is being cut off

// Commands after which a client has to wait for the answer (RFC 2920 section 3.1, RFC 3207).
bool ends_group(Verb verb) {
  return verb == Verb::Helo || verb == Verb::Ehlo || verb == Verb::StartTls || verb == Verb::Data ||
         verb == Verb::Noop || verb == Verb::Vrfy;
}

}  // namespace

Session::Session(Environment &environment, Service &service, io::UniqueFd socket, int family, Client client)
    : env_(environment),
      service_(service),
      smtpd_(service.smtpd),
      connection_(environment.loop, std::move(socket), family),
      client_(std::move(client)),
      notify_(config::notify_mask(environment.settings.queue.notify_classes)) {
  if (service.filters)
    filters_ = std::make_unique<FilterSession>(env_.loop, env_.clock, env_.log, service.filters,
                                               std::to_string(service.counters.connections));
  transcript_.keep((notify_ & ~(config::kNotifyDoubleBounce | config::kNotifyDelayed)) != 0);
}

Task<void> Session::run() {
  // Not `if (co_await greet()) co_await ...`: gcc 12 lays out the frame wrongly when a condition and its body await.
  const bool greeted = co_await greet();
  if (greeted) co_await converse();
  if (stop_ != Stop::None)
    co_await say_why_stopped();
  else
    co_await flush(true);
  waiting_since_ = env_.clock.mono();
  waiting_ = Waiting::LastWords;
  co_await connection_.end_tls();
  waiting_ = Waiting::Nothing;
  connection_.linger_close();
  if (filters_) {
    reset();
    filters_->disconnect(stage_facts(MANSIO_STAGE_DISCONNECT));
  }
  log_disconnect();
  const bool notice = worth_a_notice();
  if (notice) co_await notify_postmaster();
}

void Session::abandon() {
  if (filters_) filters_->abandon();
  abandon_auth();
  transaction_.reset();
}

Task<bool> Session::greet() {
  if (smtpd_.client_name_lookup && env_.dns != nullptr)
    client_.name = co_await confirmed_name(env_.loop, *env_.dns, client_.address, smtpd_.client_name_timeout);
  env_.log.info("connect", {{"client", client_.address}, {"client_name", client_.name}, {"listener", service_.name}});
  if (draining_) {
    hang_up(goodbye({4, 3, 2}, "Service shutting down"));
    co_return false;
  }
  if (smtpd_.forbid_unauth_pipelining && connection_.input_waiting()) {
    ++service_.counters.protocol_errors;
    env_.log.info("client talks before the greeting", {{"client", client_.address}});
    hang_up({554, {5, 5, 0}, "Error: SMTP protocol synchronization"});
    co_return false;
  }
  if (filters_) {
    const bool may = co_await may_connect();
    if (!may) co_return false;
  }
  reply({220, {}, env_.settings.myhostname + " " + (smtpd_.banner.empty() ? "ESMTP Mansio" : smtpd_.banner)});
  co_return true;
}

Task<void> Session::converse() {
  while (open_ && stop_ == Stop::None) {
    const auto line = take_line(smtpd_.command_length_limit);
    if (!line) {
      if (!open_) break;
      if (draining_ && !(transaction_ && transaction_->decoder)) {
        hang_up(goodbye({4, 3, 2}, "Service shutting down"));
        break;
      }
      if (!co_await flush()) break;
      if (!co_await wait_command()) break;
      continue;
    }
    command_taken();
    ++counts_.commands;
    if (++commands_ > smtpd_.command_limit) {
      hang_up(goodbye({4, 7, 0}, "Error: too many commands"));
      break;
    }
    if (errors_ >= smtpd_.soft_error_limit) {  // not asked in there: a coroutine for each command would cost everybody
      const bool told = co_await tarpit();
      if (!told) break;
    }
    if (line->too_long) {
      refuse({500, {5, 5, 2}, "Error: line too long"});
      heed_error_limit();
      continue;
    }
    transcript_.out(out_);
    const auto command = parse_command(line->text);
    // A password may be in it, also where a client sends one that nobody has asked for.
    const bool readable = command.verb != Verb::Unknown && command.verb != Verb::NotSmtp;
    if (command.verb == Verb::Auth)
      transcript_.in("AUTH [...]");
    else
      transcript_.in(readable || counts_.auth == 0 ? line->text : "[...]");
    if (synchronised(command.verb)) co_await dispatch(command);
    heed_error_limit();
  }
}

Task<void> Session::dispatch(const Command &command) {
  if (filters_) remember();
  switch (command.verb) {
    case Verb::Data:
      if (syntax_ok(command)) co_await data();
      break;
    case Verb::Bdat:
      if (syntax_ok(command)) co_await bdat(command.chunk_size, command.last);
      break;
    case Verb::Etrn:
      if (syntax_ok(command)) co_await etrn(command.argument);
      break;
    case Verb::StartTls:
      if (syntax_ok(command)) co_await starttls();
      break;
    case Verb::Auth:
      co_await auth(command);
      break;
    case Verb::Rcpt:
      if (env_.tables != nullptr)
        co_await rcpt_by_tables(command);
      else
        answer(command);
      break;
    case Verb::Mail: {
      if (env_.intake.slows(client_)) {
        const bool told = co_await flush();
        if (told) co_await hold_back(env_, service_, client_);
      }
      answer(command);
      break;
    }
    default:
      answer(command);
  }
  if (accepted_) co_await judge(command);
}

// A client that goes on talking where it must wait either is broken or drives an injection through some proxy.
bool Session::synchronised(Verb verb) {
  const bool must_wait = ends_group(verb) || !esmtp_ || !offers("PIPELINING");
  if (!smtpd_.forbid_unauth_pipelining || !must_wait || !connection_.input_waiting()) return true;
  ++service_.counters.protocol_errors;
  env_.log.info("improper command pipelining", {{"client", client_.address}, {"after", name(verb)}});
  hang_up({554, {5, 5, 0}, "Error: SMTP protocol synchronization"});
  return false;
}

// The next line; nullopt: it is not all here yet, or the session is over.
std::optional<Session::Line> Session::take_line(std::uint64_t limit) {
  const auto bytes = connection_.buffered();
  const void *const lf =
      scanned_ < bytes.size() ? std::memchr(bytes.data() + scanned_, '\n', bytes.size() - scanned_) : nullptr;
  const auto length =
      lf == nullptr ? bytes.size() : static_cast<std::size_t>(static_cast<const char *>(lf) - bytes.data());
  const bool too_long = length > limit + 1 || (lf == nullptr && connection_.full());
  if (lf == nullptr) {
    scanned_ = bytes.size();
    if (!too_long && !skipping_line_) return std::nullopt;
    skipping_line_ = true;
    connection_.consume(bytes.size());
    scanned_ = 0;
    return std::nullopt;
  }
  scanned_ = 0;
  connection_.consume(length + 1);
  const bool skipped = std::exchange(skipping_line_, false);
  if (too_long || skipped) return Line{{}, true};
  auto line = bytes.substr(0, length);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  } else if (smtpd_.forbid_bare_newline == config::BareNewline::Reject) {
    ++service_.counters.noncanonical_messages;
    const Reply bare{550, {5, 5, 2}, "Error: bare <LF> received"};
    log_reject("bare LF", bare);
    hang_up(bare);
    return std::nullopt;
  }
  return Line{line, false};
}

// A command is waited for from its first byte's wait on: a trickle gains no time.
Task<bool> Session::wait_command() {
  if (!command_begun_) waiting_since_ = env_.clock.mono();
  command_begun_ = true;
  return wait_input(Waiting::Command);
}

void Session::command_taken() {
  request_waited_ = command_begun_ ? env_.clock.mono() - waiting_since_ : 0;
  command_begun_ = false;
}

Task<bool> Session::wait_input(Waiting what) {
  if (cut_ && stop_ == Stop::None) stop_ = Stop::Drain;  // it was told so while it did not wait
  if (stop_ != Stop::None) co_return false;
  waiting_ = what;
  const bool ok = co_await connection_.read_more();
  waiting_ = Waiting::Nothing;
  co_return ok &&stop_ == Stop::None;
}

Task<bool> Session::flush(bool last) {
  transcript_.out(out_);
  std::string_view rest = out_;
  if (!connection_.write_now(rest, last)) {
    waiting_since_ = env_.clock.mono();
    waiting_ = Waiting::Write;
    const bool ok = co_await connection_.write(rest);
    waiting_ = Waiting::Nothing;
    request_waited_ += env_.clock.mono() - waiting_since_;
    command_begun_ = false;
    if (!ok) {
      open_ = false;
      co_return false;
    }
  }
  out_.clear();
  transcript_.written();
  co_return stop_ == Stop::None;
}

// Once there were many errors every reply is late, also to what is right: a client that has run away would else be
// quick with that. Each of a group waits for itself, and what was answered before leaves first, so that nobody who has
// a reply to come hears nothing for longer than that. False: the client is gone.
Task<bool> Session::tarpit() {
  if (errors_ < smtpd_.soft_error_limit || smtpd_.error_sleep_time <= 0) co_return true;
  const bool told = co_await flush();
  if (told) co_await pause_after_error();
  co_return told;
}

void Session::heed_error_limit() {
  if (open_ && errors_ >= limits_of(service_).hard_error_limit) hang_up(goodbye({4, 7, 0}, "Error: too many errors"));
}

Task<void> Session::pause_after_error() {
  if (smtpd_.error_sleep_time <= 0) co_return;
  asio::steady_timer timer{env_.loop, std::chrono::nanoseconds{smtpd_.error_sleep_time}};
  ErrorCode ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

void Session::count_junk() {
  if (++junk_ > limits_of(service_).junk_command_limit) ++errors_;
}

// How long the client may let us wait, from `waiting_since_` on. It may change in the middle of the wait.
Nanos Session::patience() const {
  if (waiting_ == Waiting::LastWords) return kLastWords;
  const auto limits = limits_of(service_);
  if (waiting_ == Waiting::Handshake) return limits.starttls_timeout;
  // Of a command the wait is one in any case.
  if (waiting_ == Waiting::Command || !limits.per_request_deadline) return limits.timeout;
  const auto left = limits.timeout - request_waited_;
  return waiting_ == Waiting::Write ? std::max(left, kSecond) : left;  // who came just in time also hears so
}

void Session::sweep(Nanos now) {
  if (filters_ && filters_->waiting() && connection_.gone()) filters_->client_gone();
  if (waiting_ == Waiting::Nothing) return;
  if (now - waiting_since_ >= patience()) return stop(Stop::Timeout);
  if (waiting_ == Waiting::Command || waiting_ == Waiting::Content) {
    if (transaction_deadline_ != 0 && now >= transaction_deadline_) return stop(Stop::TransactionTimeout);
  }
  if (waiting_ == Waiting::Content && smtpd_.min_data_rate != 0) {
    const Nanos waited = content_waited_ + (now - waiting_since_) - smtpd_.timeout / 10;
    const double expected = static_cast<double>(waited) / static_cast<double>(kSecond) * smtpd_.min_data_rate;
    if (waited > 0 && static_cast<double>(content_bytes_) < expected) stop(Stop::TooSlow);
  }
}

void Session::drain() {
  draining_ = true;
  if (waiting_ == Waiting::Command && !(transaction_ && transaction_->decoder)) stop(Stop::Drain);
}

void Session::cut() {
  draining_ = cut_ = true;
  if (waiting_ != Waiting::Nothing && stop_ == Stop::None) stop(Stop::Drain);
}

void Session::stop(Stop why) {
  if (stop_ != Stop::None) return connection_.close();  // it does not even take its last words
  stop_ = why;
  connection_.cancel();
}

Task<void> Session::say_why_stopped() {
  if (stop_ == Stop::Drain) {
    const auto why = goodbye({4, 3, 2}, "Service shutting down");
    if (transaction_ && transaction_->decoder) {
      ++service_.counters.deferred_messages;
      log_reject(transaction_->chunked ? "BDAT" : "DATA", why);
    }
    reply(why);
  } else {
    ++service_.counters.timeouts;
    const bool slow = stop_ == Stop::TooSlow;
    env_.log.info(slow ? "client too slow" : "timeout",
                  {{"client", client_.address},
                   {"in", transaction_ && transaction_->decoder ? "content" : "command"},
                   {"whole_transaction", stop_ == Stop::TransactionTimeout},
                   {"stress", service_.stressed}});
    reply(goodbye({4, 4, 2}, slow ? "Error: data rate too low" : "Error: timeout exceeded"));
  }
  reset();
  connection_.forgive();
  transcript_.out(out_);
  std::string_view rest = out_;
  if (connection_.write_now(rest)) co_return;
  waiting_since_ = env_.clock.mono();
  waiting_ = Waiting::LastWords;
  co_await connection_.write(rest);
}

void Session::refuse(const Reply &why) {
  ++errors_;
  reply(why);
}

void Session::hang_up(const Reply &why) {
  reply(why);
  open_ = false;
}

Reply Session::goodbye(EnhancedStatus enhanced, std::string_view text) const {
  return {421, enhanced, env_.settings.myhostname + " " + std::string{text}};
}

std::string Session::protocol() const {
  return std::string{protocol_name({.esmtp = esmtp_,
                                    .tls = connection_.secure(),
                                    .auth = client_.authenticated(),
                                    .smtputf8 = transaction_ && transaction_->envelope.smtputf8})};
}

void Session::log_reject(std::string_view what, const Reply &why, std::string_view recipient) {
  env_.log.info("reject", {{"what", what},
                           {"reply", to_string(why)},
                           {"client", client_.address},
                           {"client_name", client_.name},
                           {"from", transaction_ ? std::string_view{transaction_->envelope.sender} : ""},
                           {"to", recipient},
                           {"helo", helo_},
                           {"proto", protocol()},
                           {"listener", service_.name}});
}

void Session::log_disconnect() {
  const auto &c = counts_;
  env_.log.info("disconnect", {{"client", client_.address},
                               {"client_name", client_.name},
                               {"helo", c.helo},
                               {"starttls", c.starttls},
                               {"auth", c.auth},
                               {"mail", c.mail},
                               {"rcpt", c.rcpt},
                               {"data", c.data},
                               {"bdat", c.bdat},
                               {"rset", c.rset},
                               {"unknown", c.unknown},
                               {"commands", c.commands},
                               {"messages", c.messages},
                               {"errors", errors_}});
}

}  // namespace mansio::ingress
