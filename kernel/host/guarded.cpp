#include "kernel/host/guarded.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mansio::host {
namespace {

constexpr auto kRests = "its code ended processes of Mansio, and it is not asked for a while";

}  // namespace

Guarded::Guarded(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, Words words,
                 std::size_t parts)
    : clock_(around.clock),
      log_(around.log),
      plugin_(plugin),
      words_(words),
      breakers_(parts,
                Breaker{options.limits.breaker_failures, options.limits.breaker_window, options.limits.breaker_time}),
      rest_(around, fmt::format("{} {}", words.label, options.name), options.limits.breaker_time),
      instance_(around, plugin, std::move(options), words.label, {nullptr, nullptr, plugin_failure, nullptr}) {}

Result<const void *> Guarded::begin(const char *kind) {
  if (rest_.allows_start(clock_.mono())) return instance_.begin(kind);
  return Error{Status::Defer, fmt::format("{} {}: {}", words_.label, instance_.name(), kRests)};
}

Guarded::Opened Guarded::open(Question question, Nanos time_limit) {
  const auto now = clock_.mono();
  auto &breaker = breakers_[question.part];
  if (!breaker.allows(now, question.part_of)) {
    ++instance_.metrics().host.refused;
    return {0, 0, "it keeps failing and is not asked for a while"};
  }
  if (!rest_.allows(now, question.part_of)) {
    breaker.not_begun();
    ++instance_.metrics().host.refused;
    return {0, 0, kRests};
  }
  const auto deadline = now + time_limit;
  const auto op =
      instance_.open(std::move(question.operation), std::move(question.message), deadline, std::move(question.work));
  if (op != 0) return {op, deadline, nullptr};
  breaker.not_begun();
  rest_.not_recovered();
  return {0, 0, words_.too_much};
}

Guarded::Opened Guarded::open(Nanos time_limit, std::function<void(Answer &&)> done) {
  Question question;
  question.operation.done = std::move(done);
  question.message = nothing_;
  return open(std::move(question), time_limit);
}

void Guarded::judge(bool failed, std::string_view why, std::size_t part, std::string_view stage) {
  auto &breaker = breakers_[part];
  const LogField who{words_.label, instance_.name()}, at{"stage", stage};
  if (!failed) {
    constexpr auto kClosed = "breaker closed: the plugin answers again";
    if (rest_.recovered(clock_.mono())) log_.info(kClosed, {who});
    if (breaker.open() && stage.empty()) log_.info(kClosed, {who});
    if (breaker.open() && !stage.empty()) log_.info(kClosed, {who, at});
    return breaker.succeeded();
  }
  rest_.not_recovered();
  if (!breaker.failed(clock_.mono())) return;
  ++times_opened_;
  const auto opened = fmt::format(
      "breaker open: the plugin keeps failing and is not asked for a while; {}; mend it, and have it asked at once "
      "with mansio reload",
      words_.meanwhile);
  const LogField plugin{"plugin", plugin_.name}, reason{"reason", why};
  if (stage.empty())
    log_.error(opened, {who, plugin, reason});
  else
    log_.error(opened, {who, plugin, at, reason});
}

void Guarded::stats(const StatsSink &add) const {
  instance_.stats(add);
  const auto open = std::count_if(breakers_.begin(), breakers_.end(), [](const Breaker &b) { return b.open(); });
  add("mansio_plugin_breakers_open" + instance_.labels(), static_cast<double>(open + (rest_.resting() ? 1 : 0)));
  add("mansio_plugin_breaker_opened_total" + instance_.labels(), static_cast<double>(times_opened_));
}

}  // namespace mansio::host
