#include "kernel/route/search.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "kernel/mail/utf8.hpp"

namespace mansio::route {
namespace {

// Clients wait five minutes for the answer to RCPT (RFC 5321 section 4.5.3.2.3).
constexpr Nanos kLongest = 120 * kSecond;

bool takes_parts(const config::Settings &settings, std::string_view name) {
  const auto *lookup = settings.lookup(name);
  if (!lookup || !lookup->partial_keys) return false;
  for (const auto *parts : {&lookup->pipemap, &lookup->unionmap})
    for (const auto &part : *parts)
      if (!takes_parts(settings, part)) return false;
  return true;
}

}  // namespace

// Outlives whichever of asker and table goes first.
struct Search::Question {
  explicit Question(asio::io_context &loop) : timer(loop) {
    timer.expires_at(std::chrono::steady_clock::time_point::max());
  }
  void settle(io::TableAnswer said) {
    if (answer) return;  // it was given up
    answer = std::move(said);
    timer.cancel();
  }
  asio::steady_timer timer;
  std::optional<io::TableAnswer> answer;
};

MapList::MapList(const config::Settings &settings, std::span<const std::string> names) {
  tables_.reserve(names.size());
  for (const auto &name : names) tables_.push_back({name, takes_parts(settings, name)});
}

Search::Search(asio::io_context &loop, const Clock &clock, io::Tables &tables)
    : loop_(loop), clock_(clock), tables_(tables), deadline_(clock.mono() + kLongest) {}

Task<io::TableAnswer> Search::ask(const std::string &table, std::string key) {
  if (stopped_ || clock_.mono() >= deadline_) {
    io::TableAnswer late;
    late.text = stopped_ ? "given up" : "no time is left for it";
    co_return late;
  }
  ++asked_;
  const auto question = std::make_shared<Question>(loop_);
  question_ = question;
  tables_.query(table, key, [question](const io::TableAnswer &answer) { question->settle(answer); });
  while (!question->answer) {
    ErrorCode ignored;
    co_await question->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(*question->answer);
}

void Search::stop() {
  stopped_ = true;
  const auto question = question_.lock();
  if (!question) return;
  io::TableAnswer given_up;
  given_up.text = "given up";
  question->settle(std::move(given_up));
}

// True: the search is over.
Task<bool> Search::settled(Found &out, const MapList::Table &table, const Key &key) {
  if (!key.whole && !table.partial_keys) co_return false;
  // Patterns match what was written; all other tables have their keys in lower case.
  auto text = key.text;
  if (table.partial_keys) text = lower(text);
  auto answer = co_await ask(table.name, std::move(text));
  if (answer.outcome == Found::Outcome::NotFound) co_return false;
  out.outcome = answer.outcome;
  out.without_extension = key.without_extension;
  out.table = table.name;
  out.values = std::move(answer.values);
  out.text = std::move(answer.text);
  co_return true;
}

Task<Found> Search::by_key(const MapList &maps, Keys keys) {
  Found out;
  for (const auto &key : keys)
    for (const auto &table : maps.tables()) {
      const bool over = co_await settled(out, table, key);
      if (over) co_return out;
    }
  co_return out;
}

Task<Found> Search::in_table(const MapList::Table &table, const Keys &keys) {
  Found out;
  for (const auto &key : keys) {
    const bool over = co_await settled(out, table, key);
    if (over) co_return out;
  }
  co_return out;
}

}  // namespace mansio::route
