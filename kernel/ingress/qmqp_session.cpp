#include "kernel/ingress/qmqp_session.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel/ingress/client_name.hpp"
#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/deposit.hpp"
#include "kernel/ingress/table_policy.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr Nanos kLastReply = 5 * kSecond;

bool authorized(const Qmqpd &qmqpd, const Client &client) {
  return std::ranges::any_of(qmqpd.authorized_clients, [&](const auto &n) { return n.contains(client.key); });
}

// "a@b" as RCPT would give it: QMQP's addresses have neither quotes nor angle brackets.
std::string as_path(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return "<" + std::string{address} + ">";
  return "<" + quote_local(address.substr(0, at)) + std::string{address.substr(at)} + ">";
}

Reply bad_address(const Error &error, EnhancedStatus fallback, std::string_view address) {
  return {501, error.enhanced.empty() ? fallback : error.enhanced,
          error.text + ": " + std::string{address.substr(0, 256)}};
}

}  // namespace

std::string qmqp_reply(const Reply &reply) {
  std::string text{reply.code < 400 ? 'K' : reply.code < 500 ? 'Z' : 'D'};
  text += to_string(reply).substr(4);  // without the code: the letter says it
  std::string out;
  append_netstring(out, text);
  return out;
}

QmqpSession::QmqpSession(Environment &environment, Service &service, io::UniqueFd socket, int family, Client client)
    : env_(environment),
      service_(service),
      smtpd_(service.smtpd),
      qmqpd_(*service.qmqpd),
      connection_(environment.loop, std::move(socket), family),
      client_(std::move(client)),
      decoder_(ContentDecoder::Framing::Bdat, smtpd_.line_length_limit == 0 ? UINT64_MAX : smtpd_.line_length_limit),
      fields_(smtpd_.campaign_header, smtpd_.priority_header, true) {
  client_.trusted = true;
}

Task<void> QmqpSession::run() {
  if (smtpd_.client_name_lookup && env_.dns != nullptr)
    client_.name = co_await confirmed_name(env_.loop, *env_.dns, client_.address, smtpd_.client_name_timeout);
  env_.log.info("connect", {{"client", client_.address}, {"client_name", client_.name}, {"listener", service_.name}});
  end_ = env_.clock.mono() + smtpd_.transaction_timeout;
  std::optional<Reply> outcome;
  if (!authorized(qmqpd_, client_)) {
    outcome = Reply{554, {5, 7, 1}, "Error: " + client_.address + " is not authorized to use this service"};
  } else {
    outcome = co_await receive();
  }
  if (outcome) co_await answer(std::move(*outcome));
  connection_.linger_close();
  env_.log.info("disconnect", {{"client", client_.address}, {"client_name", client_.name}});
}

Task<std::optional<Reply>> QmqpSession::receive() {
  if (const auto why = env_.refusal()) co_return *why;
  co_await hold_back(env_, service_, client_);
  for (;;) {
    auto bytes = connection_.buffered();
    const auto had = bytes.size();
    const auto event = reader_.next(bytes);
    if (event.part == QmqpReader::Part::More) {
      connection_.consume(had);
      const bool more = co_await wait_input();
      if (more) continue;
      if (stop_ == Stop::Timeout) co_return Reply{451, {4, 4, 2}, "Error: timeout exceeded"};
      if (stop_ == Stop::Drain) co_return Reply{421, {4, 3, 2}, "Service shutting down"};
      if (begun_) env_.log.info("lost connection", {{"client", client_.address}, {"in", "request"}});
      co_return std::nullopt;
    }
    begun_ = true;
    if (event.part == QmqpReader::Part::End) break;
    if (event.part == QmqpReader::Part::Malformed) {
      ++service_.counters.protocol_errors;
      co_return Reply{501, {5, 5, 2}, "Error: malformed netstring"};
    }
    if (event.part == QmqpReader::Part::TooLong) co_return Reply{501, {5, 1, 3}, "Error: address too long"};
    if (event.part == QmqpReader::Part::Size && smtpd_.message_size_limit != 0 &&
        reader_.content_size() > smtpd_.message_size_limit)
      co_return Reply{552, {5, 3, 4}, "Error: message too large"};
    co_await part(event);
    connection_.consume(had - bytes.size());
  }
  const auto outcome = co_await finish();
  co_return outcome;
}

Task<void> QmqpSession::part(const QmqpReader::Event &event) {
  switch (event.part) {
    case QmqpReader::Part::Size:
      envelope_.arrival = env_.clock.wall();
      draft_ = env_.writer.begin();
      if (auto why = over_rate(env_, service_, client_, process::ClientEvent::Message)) refuse(std::move(*why));
      break;
    case QmqpReader::Part::Content: {
      auto rest = event.bytes;
      co_await store(decoder_.feed(rest));
      break;
    }
    case QmqpReader::Part::Sender:
      co_await store(decoder_.finish());
      sender(event.bytes);
      break;
    case QmqpReader::Part::Recipient:
      co_await recipient(event.bytes);
      break;
    default:
      break;
  }
}

// After a refusal the draft is gone and the rest is dropped.
Task<void> QmqpSession::store(std::string_view canonical) {
  if (refusal_ || canonical.empty()) co_return;
  fields_.feed(canonical, scanner_);
  if (smtpd_.message_size_limit != 0 && scanner_.size() > smtpd_.message_size_limit) {  // with its line ends
    refuse({552, {5, 3, 4}, "Error: message too large"});
  } else if (smtpd_.header_size_limit != 0 && scanner_.header_size() > smtpd_.header_size_limit) {
    refuse({552, {5, 6, 0}, "Error: header section too large"});
  } else if (decoder_.line_too_long()) {
    refuse({552, {5, 6, 0}, "Error: line longer than " + std::to_string(smtpd_.line_length_limit) + " octets"});
  } else if (auto nul = nul_refusal(!smtpd_.content_filter.empty(), canonical)) {
    refuse(std::move(*nul));
  } else {
    const auto stored = co_await draft_->append(canonical);
    if (!stored) {
      env_.log.warn("content not stored", {{"client", client_.address}, {"error", stored.error().text}});
      refuse(commit_refusal(stored.error()));
    }
  }
}

void QmqpSession::refuse(Reply why) {
  draft_.reset();
  if (!refusal_) refusal_ = std::move(why);
}

void QmqpSession::sender(std::string_view address) {
  if (address.ends_with("-@[]")) return refuse({501, {5, 1, 7}, "Error: VERP senders are not supported"});
  const auto path = address.empty() ? parse_reverse_path("<>") : parse_reverse_path(as_path(address), {true, false});
  if (!path) return refuse(bad_address(path.error(), {5, 1, 7}, address));
  if (!path->rest.empty()) return refuse({501, {5, 1, 7}, "Bad sender address syntax"});
  envelope_.sender = to_string(path->address);
  if (!is_ascii(envelope_.sender)) envelope_.smtputf8 = true;
}

Task<void> QmqpSession::recipient(std::string_view address) {
  if (refusal_) co_return;
  if (auto why = over_rate(env_, service_, client_, process::ClientEvent::Recipient)) {
    ++service_.counters.rejected_recipients;
    refuse(std::move(*why));
    co_return;
  }
  if (smtpd_.recipient_limit != 0 && envelope_.recipients.size() >= smtpd_.recipient_limit) {
    refuse({554, {5, 5, 3}, "Error: too many recipients"});
    co_return;
  }
  const auto path = parse_forward_path(as_path(address), {true, false});
  if (!path || !path->rest.empty()) {
    refuse(path ? Reply{501, {5, 1, 3}, "Bad recipient address syntax"}
                : bad_address(path.error(), {5, 1, 3}, address));
    co_return;
  }
  Recipient recipient;
  recipient.original = to_string(path->address);
  TableVerdict verdict;
  if (env_.tables != nullptr) {
    route::ScreeningMemory none;  // access tables are for SMTP
    const TableQuestion question{
        service_, client_, {}, envelope_.sender, recipient.original, envelope_.recipients.empty()};
    verdict = co_await env_.tables->recipient(question, none);
  } else {
    auto plain = env_.policy.recipient(smtpd_, client_, envelope_.sender, recipient.original);
    verdict.refusal = std::move(plain.refusal);
    verdict.sender = envelope_.sender;
    verdict.targets.push_back({std::move(plain.address), std::move(plain.route)});
  }
  if (verdict.refusal) {
    ++service_.counters.rejected_recipients;
    verdict.refusal->text = "<" + recipient.original + ">: " + verdict.refusal->text;
    refuse(std::move(*verdict.refusal));
    co_return;
  }
  envelope_.sender = std::move(verdict.sender);
  effects_.add(std::move(verdict.effects));
  add_recipients(envelope_, recipient, std::move(verdict.targets), std::move(verdict.copies));
}

std::optional<Reply> QmqpSession::wrong_as_a_whole() const {
  if (refusal_) return refusal_;
  if (envelope_.recipients.empty()) return Reply{554, {5, 5, 1}, "Error: no recipients specified"};
  if (decoder_.line_too_long())
    return Reply{552, {5, 6, 0}, "Error: line longer than " + std::to_string(smtpd_.line_length_limit) + " octets"};
  if (smtpd_.hopcount_limit != 0 && scanner_.received() >= smtpd_.hopcount_limit)
    return Reply{554, {5, 4, 6}, "Error: too many hops"};
  return std::nullopt;
}

Task<Reply> QmqpSession::finish() {
  scanner_.finish();
  if (decoder_.bare_cr()) ++service_.counters.noncanonical_messages;
  if (const auto why = wrong_as_a_whole()) co_return *why;
  auto &e = envelope_;
  e.body_type = scanner_.info().eight_bit ? BodyType::EightBitMime : BodyType::SevenBit;
  e.helo = client_.name;
  e.protocol = "QMQP";
  e.tenant = smtpd_.tenant;
  e.campaign = fields_.campaign();
  e.priority = static_cast<std::uint8_t>(fields_.priority().value_or(0));
  settle(effects_, e);
  if (effects_.discard) co_return discard(env_, client_, e);
  const auto id = co_await deposit(env_, service_, client_, e, std::move(draft_), scanner_, effects_.prepend);
  if (!id) co_return commit_refusal(id.error());
  co_return Reply{250, {}, "Ok: queued as " + to_string(*id)};
}

Task<void> QmqpSession::answer(Reply reply) {
  answering_ = true;
  if (smtpd_.soft_bounce) soften(reply);
  if (reply.refusal()) {
    draft_.reset();
    if (stop_ == Stop::Timeout) ++service_.counters.timeouts;
    ++(reply.code < 500 ? service_.counters.deferred_messages : service_.counters.rejected_messages);
    env_.log.info("reject", {{"what", "QMQP"},
                             {"reply", to_string(reply)},
                             {"client", client_.address},
                             {"client_name", client_.name},
                             {"from", envelope_.sender},
                             {"proto", "QMQP"},
                             {"listener", service_.name}});
    if (qmqpd_.error_delay > 0 && stop_ == Stop::None) {
      asio::steady_timer timer{env_.loop, std::chrono::nanoseconds{qmqpd_.error_delay}};
      ErrorCode ignored;
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  const auto text = qmqp_reply(reply);
  std::string_view rest = text;
  connection_.forgive();
  if (connection_.write_now(rest, true)) co_return;  // linger_close() follows
  deadline_ = env_.clock.mono() + (stop_ == Stop::None ? qmqpd_.timeout : kLastReply);
  waiting_ = true;
  co_await connection_.write(rest);
  waiting_ = false;
}

Task<bool> QmqpSession::wait_input() {
  if ((cut_ || (draining_ && !begun_)) && stop_ == Stop::None) stop_ = Stop::Drain;
  if (stop_ != Stop::None) co_return false;
  deadline_ = std::min(env_.clock.mono() + qmqpd_.timeout, end_);
  waiting_ = true;
  const bool ok = co_await connection_.read_more();
  waiting_ = false;
  co_return ok &&stop_ == Stop::None;
}

void QmqpSession::sweep(Nanos now) {
  if (waiting_ && now >= deadline_) stop(Stop::Timeout);
}

void QmqpSession::drain() {
  draining_ = true;
  if (!begun_ && waiting_) stop(Stop::Drain);
}

void QmqpSession::cut() {
  draining_ = cut_ = true;
  if (waiting_ && !answering_ && stop_ == Stop::None) stop(Stop::Drain);
}

void QmqpSession::stop(Stop why) {
  if (stop_ != Stop::None) return connection_.close();  // it does not even take its last words
  stop_ = why;
  connection_.cancel();
}

}  // namespace mansio::ingress
