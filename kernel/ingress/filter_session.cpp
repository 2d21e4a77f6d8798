#include "kernel/ingress/filter_session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernel/host/stage_rules.hpp"
#include "kernel/ingress/filtered_message.hpp"
#include "kernel/ingress/recording.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/spool/wait.hpp"
#include "mansio/draft/filter.h"

namespace mansio::ingress {
namespace {

// RFC 5321 section 4.5.3.2.6: after ten minutes the client waits no more.
constexpr Nanos kLongest = 600 * kSecond;
constexpr std::size_t kChunk = 32 * 1024;     // of the body at a time
constexpr std::size_t kMostMeta = 64 * 1024;  // of a session, and of a message: it goes with every call

bool of_message(std::uint32_t stage) { return stage >= MANSIO_STAGE_MAIL && stage <= MANSIO_STAGE_END_OF_MESSAGE; }

std::uint64_t bit(std::uint32_t stage) { return std::uint64_t{1} << stage; }

constexpr std::uint64_t kContentStages =
    std::uint64_t{1} << MANSIO_STAGE_HEADER | std::uint64_t{1} << MANSIO_STAGE_END_OF_HEADERS |
    std::uint64_t{1} << MANSIO_STAGE_BODY | std::uint64_t{1} << MANSIO_STAGE_END_OF_MESSAGE;

Reply refusal(std::uint32_t stage, const wire::StageResult &result) {
  const bool permanent = result.outcome == wire::StageOutcome::Fail;
  Reply reply{static_cast<std::uint16_t>(permanent ? 550 : 451), result.enhanced, result.text};
  if (stage == MANSIO_STAGE_CONNECT || stage == MANSIO_STAGE_DATA)
    reply.code = permanent ? 554 : stage == MANSIO_STAGE_CONNECT ? 421 : 451;
  if (stage == MANSIO_STAGE_STARTTLS) reply.code = permanent ? 554 : 454;
  if (stage == MANSIO_STAGE_AUTH) reply.code = permanent ? 535 : 454;
  // Whatever a process of its own has answered, a refusal is one.
  if (result.smtp_code / 100 == (permanent ? 5 : 4)) reply.code = result.smtp_code;
  if (reply.enhanced.subject == 0 && reply.enhanced.detail == 0) reply.enhanced = {0, 7, 1};
  reply.enhanced.cls = permanent ? 5 : 4;
  for (auto &c : reply.text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  if (reply.text.empty()) reply.text = permanent ? "Rejected by policy" : "Deferred by policy, try again later";
  return reply;
}

// The check could not be made, and without it nothing is taken.
Reply deferral(std::uint32_t stage) {
  const bool starts_or_names = stage == MANSIO_STAGE_STARTTLS || stage == MANSIO_STAGE_AUTH;
  const std::uint16_t code = stage == MANSIO_STAGE_CONNECT ? 421 : starts_or_names ? 454 : 451;
  return {code, {4, 3, 0}, "Error: a check could not be made, try again later"};
}

// "" removes.
void merge(wire::NamedValues &into, wire::NamedValues &&from) {
  for (auto &[name, value] : from) {
    std::erase_if(into, [&](const auto &known) { return known.first == name; });
    if (!value.empty()) into.emplace_back(std::move(name), std::move(value));
  }
}

std::size_t size_of(const wire::NamedValues &values) {
  std::size_t n = 0;
  for (const auto &[name, value] : values) n += name.size() + value.size();
  return n;
}

}  // namespace

// Of the call that is waited for. It outlives the session when that ends first.
struct FilterSession::Answer {
  std::optional<wire::StageResult> result;
  std::uint32_t incarnation = 0;
  spool::Event done;
  host::FilterInstance *instance = nullptr;
  std::uint64_t number = 0;
};

FilterSession::FilterSession(asio::io_context &loop, const Clock &clock, Logger &log,
                             std::shared_ptr<const FilterChain> chain, std::string_view number)
    : loop_(loop), log_(log), chain_(std::move(chain)), id_(fmt::format("{}.{}", chain_->prefix, number)) {
  for (const auto &link : chain_->links) seats_.push_back({&link});
  if (chain_->recorder) recording_ = std::make_unique<Recording>(*chain_->recorder, clock, *chain_, id_);
}

FilterSession::~FilterSession() = default;

void FilterSession::message_begins() {
  for (auto &seat : seats_) {
    seat.saw = seat.out = false;
    seat.versions.clear();
  }
  word_ = {};
  version_ = {};
  unchecked_ = session_unchecked_;
}

void FilterSession::message_over(MessageId id, bool taken) {
  for (auto &seat : seats_) {
    if (seat.saw && !taken) seat.link->instance->abort(id_, id);
    for (const auto version : seat.versions)
      if (!taken) seat.link->instance->abort(id_, version);
    seat.saw = false;
    seat.versions.clear();
  }
}

bool FilterSession::hears(std::uint32_t stage) const {
  if (recording_) return true;
  return std::ranges::any_of(seats_,
                             [&](const Seat &seat) { return (seat.link->instance->stages() & bit(stage)) != 0; });
}

Task<std::optional<Reply>> FilterSession::ask(wire::StageCall facts) {
  if (recording_) recording_->event({}, facts);
  const auto stage = facts.stage;
  const auto id = facts.id;
  const auto before = word_;
  const auto session_meta_before = session_meta_;
  std::optional<Reply> why;
  for (auto &seat : seats_) {
    if ((seat.link->instance->stages() & bit(stage)) == 0) continue;
    if (seat.out && of_message(stage)) {
      if (seat.link->on_failure != config::OnFailure::Defer) continue;
      why = deferral(stage);
    } else {
      auto request = &seat == &seats_.back() ? std::move(facts) : facts;
      auto result = co_await call(seat, std::move(request));
      why = judge(seat, stage, id, result);
      if (!why) heed(seat, std::move(result));
    }
    if (!why) continue;
    word_ = before;
    session_meta_ = session_meta_before;
    break;
  }
  if (recording_) recording_->end(why);
  co_return why;
}

void FilterSession::disconnect(wire::StageCall facts) {
  if (!begun_) return;
  if (recording_) {
    recording_->event({}, facts);
    recording_->end(std::nullopt);
  }
  for (auto &seat : seats_) {
    if ((seat.link->instance->stages() & bit(MANSIO_STAGE_DISCONNECT)) == 0) continue;
    auto call = facts;
    call.session = id_;
    call.session_meta = session_meta_;
    call.time_limit = call.total_limit = seat.link->command_timeout;
    if (recording_) call.macros.emplace_back("recorded", "true");
    seat.link->instance->start(std::move(call), nullptr, [](wire::StageResult &&) {});
  }
}

bool FilterSession::wants_content(std::size_t i) const {
  const auto &seat = seats_[i];
  if (seat.out && seat.link->on_failure != config::OnFailure::Defer) return false;
  return (seat.link->instance->stages() & kContentStages) != 0;
}

Task<FilterSession::Outcome> FilterSession::content(std::size_t i, const FilteredMessage &message,
                                                    wire::StageCall facts) {
  if (!recording_) return show(i, message, std::move(facts));
  return record(i, message, std::move(facts));
}

Task<FilterSession::Outcome> FilterSession::record(std::size_t i, const FilteredMessage &message,
                                                   wire::StageCall facts) {
  recording_->event("message", facts);
  auto outcome = co_await show(i, message, std::move(facts));
  recording_->end(outcome.refusal);
  co_return outcome;
}

Task<FilterSession::Outcome> FilterSession::show(std::size_t i, const FilteredMessage &message, wire::StageCall facts) {
  auto &seat = seats_[i];
  const auto id = facts.id;
  auto recipients = std::exchange(facts.arguments, {});
  auto wanted = seat.link->instance->stages() & kContentStages;
  if (message.body_begin() >= message.size()) wanted &= ~bit(MANSIO_STAGE_BODY);
  Outcome outcome;
  outcome.last.outcome = wire::StageOutcome::Ok;
  if (seat.out) {
    outcome.refusal = deferral(MANSIO_STAGE_END_OF_MESSAGE);
    co_return outcome;
  }
  // The part of a stage that all of its calls have in common. `more`: another of them follows.
  const auto next = [&](std::uint32_t stage, std::vector<std::string> arguments, bool more = false) {
    const bool last = !more && (wanted >> stage) == 1;
    auto call = last ? std::move(facts) : facts;
    call.stage = stage;
    call.arguments = std::move(arguments);
    call.last = last;
    call.length = stage == MANSIO_STAGE_END_OF_MESSAGE ? message.size() : 0;
    return call;
  };
  if ((wanted & bit(MANSIO_STAGE_HEADER)) != 0) {
    auto section = message.header();
    std::optional<HeaderField> following;
    for (auto field = next_field(section); field; field = following) {
      following = next_field(section);
      auto value = field->raw.substr(field->raw.find(':') + 1);
      if (value.ends_with("\r\n")) value.remove_suffix(2);
      auto request = next(MANSIO_STAGE_HEADER, {std::string{field->name}, std::string{value}}, following.has_value());
      auto result = co_await call(seat, std::move(request));
      outcome.refusal = judge(seat, MANSIO_STAGE_HEADER, id, result);
      if (outcome.refusal || seat.out) co_return outcome;
      heed(seat, std::move(result));
    }
  }
  if ((wanted & bit(MANSIO_STAGE_END_OF_HEADERS)) != 0) {
    auto request = next(MANSIO_STAGE_END_OF_HEADERS, {});
    auto result = co_await call(seat, std::move(request));
    outcome.refusal = judge(seat, MANSIO_STAGE_END_OF_HEADERS, id, result);
    if (outcome.refusal || seat.out) co_return outcome;
    heed(seat, std::move(result));
  }
  for (auto at = message.body_begin(); (wanted & bit(MANSIO_STAGE_BODY)) != 0 && at < message.size(); at += kChunk) {
    auto chunk = message.read(at, kChunk);
    if (!chunk) {
      outcome.refusal = commit_refusal(chunk.error());
      co_return outcome;
    }
    auto request = next(MANSIO_STAGE_BODY, {}, at + kChunk < message.size());
    request.arguments.push_back(std::move(*chunk));
    auto result = co_await call(seat, std::move(request));
    outcome.refusal = judge(seat, MANSIO_STAGE_BODY, id, result);
    if (outcome.refusal || seat.out) co_return outcome;
    heed(seat, std::move(result));
  }
  if ((wanted & bit(MANSIO_STAGE_END_OF_MESSAGE)) != 0) {
    auto request = next(MANSIO_STAGE_END_OF_MESSAGE, std::move(recipients));
    auto content = message.content();
    auto result = co_await call(seat, std::move(request), std::move(content));
    outcome.refusal = judge(seat, MANSIO_STAGE_END_OF_MESSAGE, id, result);
    if (!outcome.refusal && !seat.out) outcome.last = std::move(result);
  }
  co_return outcome;
}

Task<wire::StageResult> FilterSession::call(Seat &seat, wire::StageCall request) {
  std::shared_ptr<const host::FilterContent> none;
  return call(seat, std::move(request), std::move(none));
}

Task<wire::StageResult> FilterSession::call(Seat &seat, wire::StageCall request,
                                            std::shared_ptr<const host::FilterContent> content) {
  const bool tracked = of_message(request.stage);
  auto &instance = *seat.link->instance;
  request.session = id_;
  request.session_meta = session_meta_;
  request.message_meta = word_.message_meta;
  request.time_limit = request.stage >= MANSIO_STAGE_HEADER ? seat.link->content_timeout : seat.link->command_timeout;
  request.total_limit = std::max(kLongest, request.time_limit);
  if (recording_) request.macros.emplace_back("recorded", "true");
  const auto stage = request.stage;
  const Nanos began_at = recording_ ? recording_->now() : 0;
  const auto answer = std::make_shared<Answer>();
  answer->instance = &instance;
  host::FilterInstance::Done done = [answer, &loop = loop_](wire::StageResult &&result) {
    if (answer->result) return;  // nobody waited for it
    answer->incarnation = answer->instance->incarnation();
    answer->result = std::move(result);
    answer->done.set(loop);
  };
  const bool began = tracked && !gone_ && shown(seat);
  if (!gone_) {
    waiting_ = answer;
    answer->number = instance.start(std::move(request), std::move(content), std::move(done));
    if (!answer->result) co_await answer->done.wait();
    waiting_ = nullptr;
  }
  if (gone_ || !answer->result) co_return host::stage_failure("the client has gone");
  auto result = std::move(*answer->result);
  if (recording_) recording_->said(seat.link->name, stage, result, recording_->now() - began_at);
  if (!tracked || result.outcome == wire::StageOutcome::Failed) co_return result;
  if (!began && seat.incarnation != answer->incarnation)
    co_return host::stage_failure("its process ended after it had seen a part of the message");
  seat.incarnation = answer->incarnation;
  co_return result;
}

// True: it is the first that the seat sees of the message.
bool FilterSession::shown(Seat &seat) const {
  const bool first = !seat.saw && seat.versions.empty();
  if (!version_)
    seat.saw = true;
  else if (std::ranges::find(seat.versions, version_) == seat.versions.end())
    seat.versions.push_back(version_);
  return first;
}

// The seat need not be told what becomes of it.
void FilterSession::not_shown(Seat &seat) const {
  if (!version_)
    seat.saw = false;
  else
    std::erase(seat.versions, version_);
}

std::optional<Reply> FilterSession::judge(Seat &seat, std::uint32_t stage, MessageId id, wire::StageResult &result) {
  using wire::StageOutcome;
  switch (result.outcome) {
    case StageOutcome::Ok:
      if (!too_much(result)) return std::nullopt;
      return failure(seat, stage, id, "it set too much metadata");
    case StageOutcome::Skip:
      return std::nullopt;
    case StageOutcome::Defer:
    case StageOutcome::Fail: {
      // Where that is the message's end it need not be told of it.
      if (stage == MANSIO_STAGE_MAIL || stage >= MANSIO_STAGE_HEADER) not_shown(seat);
      const auto reply = refusal(stage, result);
      log_.info("refused by a filter", {{"qid", id},
                                        {"filter", seat.link->name},
                                        {"session", id_},
                                        {"stage", host::stage_name(stage)},
                                        {"reply", to_string(reply)}});
      return reply;
    }
    case StageOutcome::Failed:
      break;
  }
  return failure(seat, stage, id, result.text);
}

std::optional<Reply> FilterSession::failed(std::size_t i, const std::string &why, MessageId id) {
  return failure(seats_[i], MANSIO_STAGE_END_OF_MESSAGE, id, why);
}

std::optional<Reply> FilterSession::failure(Seat &seat, std::uint32_t stage, MessageId id, const std::string &why) {
  const auto on_failure = seat.link->on_failure;
  if (of_message(stage)) seat.out = true;
  if (!gone_) {
    constexpr std::string_view kWhat[] = {"defer", "skip", "hold"};
    log_.warn("filter failed", {{"qid", id},
                                {"filter", seat.link->name},
                                {"session", id_},
                                {"stage", host::stage_name(stage)},
                                {"reason", why},
                                {"on_failure", kWhat[static_cast<int>(on_failure)]}});
  }
  if (on_failure == config::OnFailure::Hold && !gone_) {
    auto &hold = of_message(stage) ? unchecked_ : session_unchecked_;
    hold = fmt::format("{} failed: {}", seat.link->name, why);
    return std::nullopt;
  }
  if (on_failure == config::OnFailure::Skip && !gone_) return std::nullopt;
  return deferral(stage);
}

void FilterSession::heed(const Seat &seat, wire::StageResult &&result) {
  if (result.outcome != wire::StageOutcome::Ok) return;
  merge(session_meta_, std::move(result.session_meta));
  merge(word_.message_meta, std::move(result.message_meta));
  for (const auto &edit : result.edits) {
    const auto reason =
        edit.value.empty() ? "by " + seat.link->name : fmt::format("by {}: {}", seat.link->name, edit.value);
    if (edit.kind == EditKind::Hold) word_.hold = reason;
    if (edit.kind == EditKind::Discard) word_.discard = reason;
    if (edit.kind == EditKind::Redirect)
      word_.redirection = Redirection{static_cast<std::size_t>(&seat - seats_.data()), edit.value};
  }
}

bool FilterSession::too_much(const wire::StageResult &result) const {
  return size_of(session_meta_) + size_of(result.session_meta) > kMostMeta ||
         size_of(word_.message_meta) + size_of(result.message_meta) > kMostMeta;
}

void FilterSession::client_gone() {
  gone_ = true;
  if (!waiting_) return;
  const auto answer = waiting_;
  answer->instance->cancel(answer->number);
  if (answer->result) return;  // the plugin had a last word
  answer->result = host::stage_failure("the client has gone");
  answer->done.set(loop_);
}

void FilterSession::abandon() {
  if (const auto answer = std::exchange(waiting_, nullptr)) {
    const auto waiters = std::exchange(answer->done, {});  // the coroutine's frame refers to the answer
  }
}

}  // namespace mansio::ingress
