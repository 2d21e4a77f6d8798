#include "plugins/lua/tool/session_replay.hpp"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "mansio/draft/filter.h"

namespace mansio::lua::tool {
namespace {

using mansio::testing::FakeResult;
using mansio::testing::FakeStage;

constexpr std::size_t kPieceOfBody = 32 * 1024;                                              // as Mansio shows it
constexpr std::int64_t kDefaultCommand = 30'000'000'000, kDefaultContent = 300'000'000'000;  // ns

// The next field of a header section: its name, and its value as it stands there. Nothing at its end, or at a line that
// is no field.
std::optional<std::pair<std::string, std::string>> take_field(std::string_view &section) {
  std::size_t end = section.find("\r\n");
  if (section.empty() || end == section.npos) return std::nullopt;
  const auto colon = section.substr(0, end).find(':');
  if (colon == section.npos || colon == 0) return std::nullopt;
  auto name = section.substr(0, colon);
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
  while (end + 2 < section.size() && (section[end + 2] == ' ' || section[end + 2] == '\t')) {
    const auto next = section.find("\r\n", end + 2);
    if (next == section.npos) break;
    end = next;
  }
  std::pair field{std::string{name}, std::string{section.substr(colon + 1, end - colon - 1)}};
  section.remove_prefix(end + 2);
  return field;
}

std::int64_t recipient_count(const Values &facts) {
  std::int64_t n = 0;
  if (const auto found = facts.find("recipient_count"); found != facts.end())
    std::from_chars(found->second.data(), found->second.data() + found->second.size(), n);
  return n;
}

void merge_values(Values &into, const Values &set) {
  for (const auto &[name, value] : set) {
    if (value.empty())
      into.erase(name);
    else
      into[name] = value;
  }
}

// Until MAIL or a stage before it nothing of a message is asked about.
bool stage_of_message(std::uint32_t stage) {
  return stage >= MANSIO_STAGE_MAIL && stage <= MANSIO_STAGE_END_OF_MESSAGE;
}

std::string event_text(const std::string &name, const std::vector<std::string> &words) {
  std::string out = name;
  for (const auto &word : words) out += ' ' + (word.empty() ? "<>" : word);
  return out;
}

std::string_view stage_name(std::uint32_t stage) {
  constexpr std::string_view kNames[] = {"connect", "helo",   "starttls", "auth", "mail",           "rcpt",
                                         "data",    "header", "eoh",      "body", "end-of-message", "disconnect"};
  return stage < std::size(kNames) ? kNames[stage] : std::string_view{};
}

}  // namespace

SessionReplay::SessionReplay(const RecordedSession &session, Candidates &candidates, ReplayListener &listener)
    : session_(session), candidates_(candidates), listener_(listener) {
  add_seats();
  add_steps();
}

void SessionReplay::add_seats() {
  for (const auto &watcher : session_.watchers) seats_.push_back({watcher, candidates_.order(watcher.name)});
  for (const auto &order : candidates_.orders()) {
    if (seat_of(order.name) != seats_.size()) continue;
    if (!order.listeners.empty() && !order.listeners.contains(session_.listener)) continue;
    Seat seat{{order.name, "lua", "", "defer", kDefaultCommand, kDefaultContent}, &order};
    // Policies are asked before filters.
    const auto at = order.name.starts_with("policy.")
                        ? std::find_if(seats_.begin(), seats_.end(),
                                       [](const Seat &s) { return s.watcher.name.starts_with("filter."); })
                        : seats_.end();
    seats_.insert(at, std::move(seat));
  }
}

std::size_t SessionReplay::seat_of(const std::string &name) const {
  const auto found =
      std::find_if(seats_.begin(), seats_.end(), [&](const Seat &seat) { return seat.watcher.name == name; });
  return static_cast<std::size_t>(found - seats_.begin());
}

void SessionReplay::add_steps() {
  out_then_.assign(seats_.size(), false);
  const auto &events = session_.events;
  for (std::size_t i = 0; i < events.size();) {
    if (events[i].name == "content" || events[i].name == "message") {
      i = add_content(i);
    } else {
      add_command(events[i]);
      ++i;
    }
  }
}

void SessionReplay::add_command(const RecordedEvent &event) {
  Step step;
  step.at = event.at;
  step.stage = event.stage;
  step.arguments = event.arguments;
  step.facts = event.facts;
  step.queue_id = event.queue_id;
  step.refused = !event.reply.empty();
  step.seats.resize(seats_.size());
  if (event.stage == MANSIO_STAGE_MAIL) {
    out_then_.assign(seats_.size(), false);
    discarded_then_ = false;
  }
  std::size_t last = 0;  // of those that spoke, and behind it
  for (const auto &said : event.said) {
    const auto seat = seat_of(said.by);
    if (seat == seats_.size()) continue;
    step.seats[seat].decision.add(said);
    last = std::max(last, seat + 1);
    if (said.as == "failed" && stage_of_message(event.stage)) out_then_[seat] = true;
    discarded_then_ = discarded_then_ || step.seats[seat].decision.discards();
  }
  for (std::size_t i = 0; i < seats_.size(); ++i)
    step.seats[i].reached = (!step.refused || i < last) && (!out_then_[i] || step.seats[i].decision.failed());
  if (step.refused && last > 0) step.seats[last - 1].refused = true;
  steps_.push_back(std::move(step));
}

// The content and what was said to it, up to the next command, or to a version of it: that is a step of its own, in
// which those are asked who were. Returns where that is.
std::size_t SessionReplay::add_content(std::size_t begin) {
  const auto &events = session_.events;
  Step step;
  step.at = events[begin].at;
  step.stage = MANSIO_STAGE_END_OF_MESSAGE;
  step.content = true;
  step.facts = events[begin].facts;
  step.queue_id = events[begin].queue_id;
  step.seats.resize(seats_.size());
  std::shared_ptr<const RecordedContent> content;
  std::shared_ptr<const Values> facts = step.facts;
  step.version = begin > 0 && (events[begin - 1].name == "content" || events[begin - 1].name == "message");
  std::size_t filled = 0;  // seats before it know what they would be shown
  bool ended = discarded_then_;
  const auto fill = [&](std::size_t to) {
    for (; filled < to; ++filled) {
      if (step.version && filled + 1 < to) continue;
      auto &record = step.seats[filled];
      record.content = content;
      record.facts = facts;
      record.reached = !ended && !out_then_[filled];
    }
  };
  std::size_t i = begin;
  for (; i < events.size(); ++i) {
    const auto &event = events[i];
    if (event.queue_id != step.queue_id && (event.name == "content" || event.name == "message")) break;
    if (event.name == "content") {
      content = event.content;
      facts = event.facts;
      continue;
    }
    if (event.name != "message") break;
    if (step.arguments.empty()) step.arguments = event.arguments;
    const auto seat = event.said.empty() ? seats_.size() : seat_of(event.said.front().by);
    if (seat < seats_.size()) {
      fill(seat + 1);
      auto &record = step.seats[seat];
      for (const auto &said : event.said) record.decision.add(said);
      record.refused = !event.reply.empty();
      if (record.decision.failed()) out_then_[seat] = true;
      ended = ended || record.decision.discards();
    }
    if (!event.reply.empty()) {
      step.refused = true;
      ended = true;
    }
  }
  if (!step.version) fill(seats_.size());
  discarded_then_ = ended;
  steps_.push_back(std::move(step));
  return i;
}

// Whether the client would not have come so far.
bool SessionReplay::left_out(const Step &step) {
  if (step.stage == MANSIO_STAGE_DISCONNECT) return false;
  const auto begins_anew = [&] {
    switch (until_) {
      case Until::Now:
        return true;
      case Until::Mail:
        return step.stage <= MANSIO_STAGE_MAIL;
      case Until::Auth:
        return step.stage == MANSIO_STAGE_AUTH;
      case Until::Helo:
        return step.stage == MANSIO_STAGE_HELO;
      default:
        return false;
    }
  };
  if (!begins_anew()) return true;
  until_ = Until::Now;
  return (step.stage == MANSIO_STAGE_DATA || step.content) && recipients_ <= 0;
}

void SessionReplay::begin(std::int64_t now) {
  const auto &step = steps_[next_];
  if (left_out(step)) {
    listener_.never_came();
    ++next_;
    return;
  }
  if (step.stage == MANSIO_STAGE_MAIL || !stage_of_message(step.stage)) message_over(false);
  if (step.content && !step.version) queue_id_ = step.queue_id;
  if (step.stage == MANSIO_STAGE_MAIL) {
    message_meta_.clear();
    discarded_ = false;
    recipients_ = more_recipients_ = 0;
    for (auto &seat : seats_) seat.out = false;
  }
  for (auto &seat : seats_)
    if (seat.order != nullptr && seat.candidate == nullptr)
      seat.candidate = &candidates_.at(*seat.order, seat.watcher.process, now);
  running_ = true;
  seat_ = shown_ = 0;
  asked_ = refused_ = false;
  refusal_ = 0;
  decision_ = {};
  session_meta_before_ = session_meta_;
  message_meta_before_ = message_meta_;
}

std::optional<SessionReplay::Question> SessionReplay::ask() {
  while (running_) {
    const auto &step = steps_[next_];
    if (refused_ || seat_ == seats_.size()) {
      end_step();
      break;
    }
    auto &seat = seats_[seat_];
    const auto &record = step.seats[seat_];
    if (seat.candidate != nullptr) {
      auto question = step.content ? content_question(seat, step) : command_question(seat, step);
      if (question) return question;
      end_seat(seat, record);
    } else {
      if (!(step.content && discarded_)) heed(record.decision);
      refused_ = record.refused;
    }
    ++seat_;
    asked_ = false;
    shown_ = 0;
    decision_ = {};
  }
  return std::nullopt;
}

std::optional<SessionReplay::Question> SessionReplay::command_question(Seat &seat, const Step &step) {
  if (std::exchange(asked_, true) || !seat.candidate->host().wants(step.stage)) return std::nullopt;
  if (seat.out && stage_of_message(step.stage)) return std::nullopt;
  return question(seat, step, step.stage, step.arguments);
}

std::optional<SessionReplay::Question> SessionReplay::content_question(Seat &seat, const Step &step) {
  const auto &content = step.seats[seat_].content;
  if (seat.out || discarded_ || !content || content->left_out || !decision_.accepts()) return std::nullopt;
  const auto &host = seat.candidate->host();
  // What was shown before is counted, and passed over.
  std::size_t at = 0;
  const auto is_next = [&] { return at++ == shown_; };
  if (host.wants(MANSIO_STAGE_HEADER)) {
    std::string_view section{content->header};
    while (auto field = take_field(section)) {
      if (!is_next()) continue;
      ++shown_;
      return question(seat, step, MANSIO_STAGE_HEADER, {std::move(field->first), std::move(field->second)});
    }
  }
  if (host.wants(MANSIO_STAGE_END_OF_HEADERS) && is_next()) {
    ++shown_;
    return question(seat, step, MANSIO_STAGE_END_OF_HEADERS, {});
  }
  if (host.wants(MANSIO_STAGE_BODY))
    for (std::size_t begin = 0; begin < content->body.size(); begin += kPieceOfBody) {
      if (!is_next()) continue;
      ++shown_;
      return question(seat, step, MANSIO_STAGE_BODY, {content->body.substr(begin, kPieceOfBody)});
    }
  if (host.wants(MANSIO_STAGE_END_OF_MESSAGE) && is_next()) {
    ++shown_;
    auto last = question(seat, step, MANSIO_STAGE_END_OF_MESSAGE, step.arguments);
    last.stage.content = content->header + "\r\n" + content->body;
    return last;
  }
  return std::nullopt;
}

SessionReplay::Question SessionReplay::question(Seat &seat, const Step &step, std::uint32_t stage,
                                                std::vector<std::string> arguments) {
  asking_ = stage;
  if (step.version)
    seat.versions.insert(step.queue_id);
  else if (stage_of_message(stage))
    seat.saw = true;
  FakeStage shown;
  shown.stage = stage;
  shown.arguments = std::move(arguments);
  const auto &facts = step.content && step.seats[seat_].facts ? *step.seats[seat_].facts : *step.facts;
  for (const auto &[name, value] : facts)
    shown.macros.emplace_back(name, name == "recipient_count" ? std::to_string(std::max<std::int64_t>(
                                                                    recipient_count(facts) + more_recipients_, 0))
                                                              : value);
  shown.session = session_.id;
  shown.queue_id = step.queue_id;
  shown.session_meta = session_meta_;
  shown.message_meta = message_meta_;
  shown.time_limit = std::chrono::nanoseconds{stage >= MANSIO_STAGE_HEADER && stage != MANSIO_STAGE_DISCONNECT
                                                  ? seat.watcher.content_timeout
                                                  : seat.watcher.command_timeout};
  return {seat.candidate, std::move(shown)};
}

void SessionReplay::answered(const FakeResult &result) {
  Decision said;
  said.add(result, asking_);
  heed(said);
  decision_.add(result, asking_);
  // It knows of what it has refused itself.
  if (!said.refuses() || (asking_ != MANSIO_STAGE_MAIL && asking_ < MANSIO_STAGE_HEADER)) return;
  const auto &step = steps_[next_];
  if (step.version)
    seats_[seat_].versions.erase(step.queue_id);
  else
    seats_[seat_].saw = false;
}

void SessionReplay::not_answered(const std::string &why) { decision_.fail(why); }

void SessionReplay::heed(const Decision &decision) {
  if (!decision.accepts()) return;
  merge_values(session_meta_, decision.session_meta);
  merge_values(message_meta_, decision.message_meta);
  discarded_ = discarded_ || decision.discards();
}

void SessionReplay::end_seat(Seat &seat, const Record &record) {
  const auto &step = steps_[next_];
  const bool defers_failures = seat.watcher.on_failure == "defer";
  if (seat.out && stage_of_message(step.stage)) {
    refused_ = defers_failures;
    refusal_ = 451;
    return;
  }
  const auto wants = [&](std::initializer_list<std::uint32_t> stages) {
    return std::any_of(stages.begin(), stages.end(), [&](auto stage) { return seat.candidate->host().wants(stage); });
  };
  const bool wants_body = step.content && wants({MANSIO_STAGE_BODY, MANSIO_STAGE_END_OF_MESSAGE});
  const bool missing = (wants_body || (step.content && wants({MANSIO_STAGE_HEADER, MANSIO_STAGE_END_OF_HEADERS}))) &&
                       (!record.content || record.content->left_out);
  const bool whole = !record.content || !record.content->cut;
  const bool compared = record.reached && !missing;
  if (record.reached && missing) listener_.without_content();
  if (compared && wants_body && !whole) listener_.with_part_of_body();
  if (compared) {
    const auto event = step.content ? event_text("message", {step.queue_id})
                                    : event_text(std::string{stage_name(step.stage)}, step.arguments);
    listener_.decided({session_, step.at, event, seat.watcher.name, record.decision, decision_, *step.facts,
                       !same(record.decision, decision_, whole)});
  }
  if (decision_.failed()) {
    seat.out = stage_of_message(step.stage);
    refused_ = defers_failures;
    refusal_ = 451;
  } else if (decision_.refuses()) {
    refused_ = true;
    refusal_ = decision_.code;
  }
}

void SessionReplay::message_over(bool taken) {
  for (auto &seat : seats_) {
    if (seat.saw && !taken) seat.candidate->host().abort(session_.id, queue_id_);
    for (const auto &version : seat.versions)
      if (!taken) seat.candidate->host().abort(session_.id, version);
    seat.saw = false;
    seat.versions.clear();
  }
  queue_id_.clear();
}

void SessionReplay::end_step() {
  const auto &step = steps_[next_];
  running_ = false;
  ++next_;
  const bool version_follows = next_ < steps_.size() && steps_[next_].version;
  if (step.content ? refused_ || !version_follows : refused_ && step.stage == MANSIO_STAGE_MAIL)
    message_over(!refused_);
  if (refused_ && !step.content) {  // what was noted about it counts no more
    session_meta_ = session_meta_before_;
    message_meta_ = message_meta_before_;
  }
  if (step.stage == MANSIO_STAGE_STARTTLS && !refused_) session_meta_.clear();
  if (step.stage == MANSIO_STAGE_RCPT) {
    // One recipient may have become several, or none.
    std::int64_t added = 1;
    if (!step.refused && next_ < steps_.size() && steps_[next_].facts->contains("recipient_count"))
      added = recipient_count(*steps_[next_].facts) - recipient_count(*step.facts);
    if (!refused_) ++recipients_;
    if (refused_ != step.refused) more_recipients_ += refused_ ? -added : added;
  }
  if (!refused_ || step.refused) return;
  switch (step.stage) {
    case MANSIO_STAGE_CONNECT:
    case MANSIO_STAGE_STARTTLS:
      until_ = Until::Never;
      break;
    case MANSIO_STAGE_HELO:
      until_ = Until::Helo;
      break;
    case MANSIO_STAGE_AUTH:
      until_ = Until::Auth;
      break;
    case MANSIO_STAGE_RCPT:
    case MANSIO_STAGE_DISCONNECT:
      break;
    default:
      until_ = Until::Mail;
  }
  if (refusal_ == 421 || refusal_ == 521) until_ = Until::Never;
}

}  // namespace mansio::lua::tool
