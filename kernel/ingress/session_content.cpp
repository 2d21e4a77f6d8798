// STARTTLS, and content: DATA and BDAT from the client through the decoder into a draft, and the commit. Whatever is
// wrong with content is said once all of it was read, because only then does the client listen.
#include <algorithm>

#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/deposit.hpp"
#include "kernel/ingress/session.hpp"
#include "kernel/ingress/tls.hpp"
#include "mansio/draft/filter.h"

namespace mansio::ingress {
namespace {

// The time in which so many bytes come at that rate, in bytes a second.
Nanos earned(std::uint64_t bytes, std::uint32_t rate) {
  return rate == 0 ? 0 : static_cast<Nanos>(bytes) * kSecond / rate;
}

}  // namespace

std::optional<Reply> Session::not_ready_for_content(bool chunked) const {
  if (smtpd_.tls_security_level == config::TlsLevel::Encrypt && !connection_.secure())
    return Reply{530, {5, 7, 0}, "Must issue a STARTTLS command first"};
  if (!transaction_) return Reply{503, {5, 5, 1}, "Error: need MAIL command"};
  if (!chunked && transaction_->decoder) return Reply{503, {5, 5, 1}, "Error: DATA after BDAT"};
  if (transaction_->envelope.recipients.empty()) {
    if (!transaction_->rcpt_seen) return Reply{503, {5, 5, 1}, "Error: need RCPT command"};
    return Reply{554, {5, 5, 1}, "Error: no valid recipients"};
  }
  return std::nullopt;
}

void Session::start_content_clock() {
  content_waited_ = 0;
  content_bytes_ = 0;
}

void Session::begin_content(ContentDecoder::Framing framing) {
  transaction_->decoder.emplace(framing, smtpd_.line_length_limit == 0 ? UINT64_MAX : smtpd_.line_length_limit);
  transaction_->envelope.arrival = env_.clock.wall();
  transaction_->chunked = framing == ContentDecoder::Framing::Bdat;
  transaction_->draft = env_.writer.begin();
  transaction_->fields = ClientFields{smtpd_.campaign_header, smtpd_.priority_header, client_.may_relay()};
  if (env_.tables != nullptr) hold_header();
  start_content_clock();
}

Task<bool> Session::wait_content() {
  waiting_since_ = env_.clock.mono();
  const auto had = connection_.buffered().size();
  const bool ok = co_await wait_input(Waiting::Content);
  const auto waited = env_.clock.mono() - waiting_since_;
  const auto came = connection_.buffered().size() - had;
  content_waited_ += waited;
  content_bytes_ += came;
  // A large message may take longer than a command may, if it only comes fast enough; what came fast earns no right to
  // be slow for longer than that afterwards.
  if (smtpd_.min_data_rate == 0 && came != 0)
    request_waited_ = 0;
  else
    request_waited_ = std::max<Nanos>(request_waited_ + waited - earned(came, smtpd_.min_data_rate), 0);
  if (!ok) open_ = false;
  co_return ok;
}

// One piece of decoded content. After a refusal the draft is gone and the piece is dropped.
Task<void> Session::store(std::string_view canonical) {
  auto &t = *transaction_;
  if (t.refusal || canonical.empty()) co_return;
  if (t.header) co_return co_await store_header(canonical);
  t.fields.feed(canonical, t.scanner);
  if (smtpd_.message_size_limit != 0 && t.scanner.size() > smtpd_.message_size_limit) {
    t.refusal = Reply{552, {5, 3, 4}, "Error: message too large"};
  } else if (smtpd_.header_size_limit != 0 && t.scanner.header_size() > smtpd_.header_size_limit) {
    t.refusal = Reply{552, {5, 6, 0}, "Error: header section too large"};
  } else if (t.decoder->line_too_long()) {
    t.refusal =
        Reply{552, {5, 6, 0}, "Error: line longer than " + std::to_string(smtpd_.line_length_limit) + " octets"};
  } else if (auto nul = nul_refusal(!smtpd_.content_filter.empty() || !t.effects.filter.empty(), canonical)) {
    t.refusal = std::move(nul);
  } else {
    const auto stored = co_await t.draft->append(canonical);
    if (!stored) {
      env_.log.warn("content not stored", {{"client", client_.address}, {"error", stored.error().text}});
      t.refusal = commit_refusal(stored.error());
    }
  }
  if (t.refusal) t.draft.reset();
}

Task<void> Session::data() {
  ++counts_.data;
  if (const auto why = not_ready_for_content(false)) {
    refuse(*why);
    co_return;
  }
  if (filters_) {
    const auto why = co_await ask_filters(MANSIO_STAGE_DATA);
    if (why) {
      log_reject("DATA", *why);
      refuse(*why);
      co_return;
    }
  }
  begin_content(ContentDecoder::Framing::Data);
  request_waited_ = 0;  // the content is a request of its own
  reply({354, {}, "End data with <CR><LF>.<CR><LF>"});
  if (!co_await flush()) {
    open_ = false;
    co_return;
  }
  auto &decoder = *transaction_->decoder;
  while (!decoder.ended()) {
    if (connection_.buffered().empty() && !co_await wait_content()) co_return;
    const auto bytes = connection_.buffered();
    auto rest = bytes;
    const auto canonical = decoder.feed(rest);
    co_await store(canonical);
    connection_.consume(bytes.size() - rest.size());
  }
  const auto outcome = co_await finish_message();
  if (outcome.refusal() && open_) {  // the second reply to one command; and a message that was taken ends all lateness
    const bool told = co_await tarpit();
    if (!told) co_return;
  }
  if (outcome.refusal() && outcome.code >= 500) ++errors_;
  reply(outcome);
}

Task<void> Session::bdat(std::uint64_t size, bool last) {
  ++counts_.bdat;
  request_waited_ = 0;  // a chunk is a request of its own
  // Whatever the answer will be, the chunk is on its way and has to be taken off the stream (RFC 3030 section 2).
  const auto refusal =
      offers("CHUNKING") ? not_ready_for_content(true) : Reply{502, {5, 5, 1}, "Error: command not implemented"};
  if (!refusal && !transaction_->decoder) {
    std::optional<Reply> why;
    if (filters_) why = co_await ask_filters(MANSIO_STAGE_DATA);
    begin_content(ContentDecoder::Framing::Bdat);
    if (why) {  // of all chunks: the client may have sent more
      transaction_->refusal = std::move(why);
      transaction_->draft.reset();
    }
  }
  if (refusal) {
    start_content_clock();
    if (transaction_deadline_ == 0) transaction_deadline_ = env_.clock.mono() + smtpd_.transaction_timeout;
  }
  // Replies to the commands before it need not wait for a chunk that is not here yet.
  if (size > connection_.buffered().size() && !co_await flush()) {
    open_ = false;
    co_return;
  }
  for (auto left = size; left != 0;) {
    if (connection_.buffered().empty() && !co_await wait_content()) co_return;
    auto bytes = connection_.buffered();
    bytes = bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size())));
    if (!refusal) {
      auto rest = bytes;
      co_await store(transaction_->decoder->feed(rest));
    }
    connection_.consume(bytes.size());
    left -= bytes.size();
  }
  if (refusal) {
    if (!transaction_) transaction_deadline_ = 0;
    refuse(*refusal);
    co_return;
  }
  auto &t = *transaction_;
  if (!last) {
    if (t.refusal)
      refuse(*t.refusal);
    else
      reply({250, {2, 0, 0}, "Ok: " + std::to_string(size) + " bytes"});
    co_return;
  }
  co_await store(t.decoder->finish());
  const auto outcome = co_await finish_message();
  if (outcome.refusal() && outcome.code >= 500) ++errors_;
  reply(outcome);
}

// The content is complete: judge it, commit it, and end the transaction.
Task<Reply> Session::finish_message() {
  auto &t = *transaction_;
  if (t.header && !t.refusal) co_await rewrite_header();
  t.scanner.finish();
  if (t.decoder->bare_lf() || t.decoder->bare_cr()) ++service_.counters.noncanonical_messages;
  if (t.decoder->bare_lf() && smtpd_.forbid_bare_newline == config::BareNewline::Reject)
    t.refusal = Reply{550, {5, 5, 2}, "Error: bare <LF> received"};
  else if (!t.refusal && t.decoder->line_too_long())
    t.refusal =
        Reply{552, {5, 6, 0}, "Error: line longer than " + std::to_string(smtpd_.line_length_limit) + " octets"};
  else if (!t.refusal && smtpd_.hopcount_limit != 0 && t.scanner.received() >= smtpd_.hopcount_limit)
    t.refusal = Reply{554, {5, 4, 6}, "Error: too many hops"};
  Reply outcome;
  if (!t.refusal && filters_ && !t.effects.discard) {
    auto why = co_await filter_content();
    if (!transaction_) co_return goodbye({4, 3, 2}, "Service shutting down");  // the server is being taken down
    t.refusal = std::move(why);
  }
  if (t.refusal)
    outcome = *t.refusal;
  else
    outcome = co_await commit();
  if (outcome.refusal()) {
    ++(outcome.code < 500 ? service_.counters.deferred_messages : service_.counters.rejected_messages);
    log_reject(t.chunked ? "BDAT" : "DATA", outcome);
  } else {
    errors_ = junk_ = commands_ = 0;
    if (troubles_ == 0) transcript_.forget();
  }
  reset();
  co_return outcome;
}

void Session::complete(Envelope &e) const {
  e.helo = helo_;
  e.protocol = protocol();
  e.tls_version = connection_.tls_version();
  e.tls_cipher = connection_.tls_cipher();
  e.origin = origin_;
  e.campaign = transaction_->fields.campaign();
  if (const auto priority = transaction_->fields.priority(); priority && !transaction_->has_priority)
    e.priority = static_cast<std::uint8_t>(*priority);
}

Task<Reply> Session::commit() {
  auto &t = *transaction_;
  complete(t.envelope);
  settle(t.effects, t.envelope);
  if (t.effects.discard) co_return discard(env_, client_, t.envelope);
  if (!filters_) {
    const auto id =
        co_await deposit(env_, service_, client_, t.envelope, std::move(t.draft), t.scanner, t.effects.prepend);
    if (!id) co_return commit_refusal(id.error());
    ++counts_.messages;
    co_return Reply{250, {2, 0, 0}, "Ok: queued as " + to_string(*id)};
  }
  std::vector<Deposit> taken;
  const bool all_have_versions = t.envelope.recipients.empty() && !t.versions.empty();
  if (!all_have_versions && set_aside(t.id, t.envelope, filters_->word()))
    taken.push_back({t.id, &t.envelope, std::move(t.draft), &t.scanner});
  for (auto &version : t.versions) {
    if (!version.draft) continue;  // all of its recipients have others
    complete(version.envelope);
    settle(t.effects, version.envelope);
    if (set_aside(version.id, version.envelope, version.word))
      taken.push_back({version.id, &version.envelope, std::move(version.draft), &version.scanner});
  }
  const auto id = taken.empty() ? t.id : taken.front().id;
  if (!taken.empty()) {
    const auto done = co_await deposit(env_, service_, client_, std::move(taken), t.effects.prepend);
    if (!done) co_return commit_refusal(done.error());
    ++counts_.messages;
  }
  filters_->message_over(t.id, true);
  co_return Reply{250, {2, 0, 0}, "Ok: queued as " + to_string(id)};
}

Task<void> Session::starttls() {
  ++counts_.starttls;
  if (connection_.secure()) {
    refuse({554, {5, 5, 1}, "Error: TLS already active"});
    co_return;
  }
  if (!service_.tls) {
    refuse({502, {5, 5, 1}, "Error: command not implemented"});
    co_return;
  }
  const auto context = service_.tls->current();
  if (!context) {
    reply({454, {4, 7, 0}, "TLS not available due to local problem"});
    co_return;
  }
  if (const auto why = at_rate(env_, service_, client_, process::ClientEvent::NewTlsSession)) {
    hang_up(*why);
    co_return;
  }
  if (filters_) {
    const auto why = co_await ask_filters(MANSIO_STAGE_STARTTLS);
    if (why) {
      log_reject("STARTTLS", *why);
      refuse(*why);
      co_return;
    }
  }
  reply({220, {2, 0, 0}, "Ready to start TLS"});
  if (!co_await flush()) co_return;
  waiting_since_ = env_.clock.mono();
  waiting_ = Waiting::Handshake;
  const bool ok = co_await connection_.start_tls(context);
  waiting_ = Waiting::Nothing;
  std::optional<Reply> too_many;
  if (!connection_.resumed()) too_many = over_rate(env_, service_, client_, process::ClientEvent::NewTlsSession);
  if (!ok) {
    ++service_.counters.tls_failures;
    env_.log.info("TLS handshake failed", {{"client", client_.address}, {"error", connection_.error().message()}});
    open_ = false;
    co_return;
  }
  ++service_.counters.tls_sessions;
  if (too_many) {  // by handshakes in other sessions meanwhile
    hang_up(*too_many);
    co_return;
  }
  scanned_ = 0;
  // What was said in clear may have been said by somebody else (RFC 3207 section 4.2).
  reset();
  if (filters_) filters_->secured();
  client_.sasl_username.clear();
  client_.sasl_method.clear();
  screening_ = {};
  helo_.clear();
  esmtp_ = false;
  env_.log.debug(
      "TLS", {{"client", client_.address}, {"tls", connection_.tls_version()}, {"cipher", connection_.tls_cipher()}});
}

}  // namespace mansio::ingress
