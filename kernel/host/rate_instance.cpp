#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "kernel/host/rate.hpp"

namespace mansio::host {
namespace {

constexpr Nanos kGiveBackLimit = 5 * kSecond;

}  // namespace

wire::RateLease rate_lease(Answer &&answer, std::uint32_t want) {
  wire::RateLease out;
  out.failed = true;
  if (answer.status != MANSIO_OK) {
    out.text = answer.outcome.text.empty() ? "the plugin failed" : std::move(answer.outcome.text);
    return out;
  }
  std::uint64_t units = 0;
  const std::string_view text = answer.values.empty() ? std::string_view{} : std::string_view{answer.values.front()};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), units);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
    out.text = "the plugin did not say how many";
    return out;
  }
  out.failed = false;
  out.units = static_cast<std::uint32_t>(std::min<std::uint64_t>(units, want));
  out.ttl = std::max<Nanos>(answer.ttl, 0);
  out.retry = answer.retry;
  return out;
}

RateInstance::RateInstance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
    : clock_(around.clock),
      message_(std::make_shared<const MessageSource>()),
      instance_(around, plugin, std::move(options), "rate", {nullptr, nullptr, plugin_failure, nullptr}) {}

Result<void> RateInstance::begin() {
  const auto table = instance_.begin(kRateKind);
  if (!table) return table.error();
  table_ = static_cast<const mansio_rate *>(*table);
  if (!table_->lease)
    return Error{Status::BadConfig, fmt::format("rate {}: the plugin has no lease()", instance_.name())};
  instance_.on_cancel(table_->cancel);
  return {};
}

Result<std::unique_ptr<RateInstance>> RateInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options) {
  std::unique_ptr<RateInstance> instance{new RateInstance{around, plugin, std::move(options)}};
  if (auto begun = instance->begin(); !begun) return begun.error();
  return Result<std::unique_ptr<RateInstance>>{std::move(instance)};
}

void RateInstance::lease(const wire::RateAsk &question, Done done) {
  const auto deadline = clock_.mono() + question.time_limit;
  ask(question.number, question.want, deadline, std::move(done),
      [this, question, deadline](std::uint64_t op) { start(op, question, deadline); });
}

void RateInstance::hold(const wire::RateHold &question, Done done) {
  const auto deadline = clock_.mono() + (question.time_limit > 0 ? question.time_limit : kGiveBackLimit);
  if (!table_->hold) {
    wire::RateLease none;
    none.number = question.number;
    none.failed = true;
    none.text = "the plugin owns rates only, no deliveries at once and no delays";
    return done(std::move(none));
  }
  ask(question.number, question.want, deadline, std::move(done),
      [this, question, deadline](std::uint64_t op) { start(op, question, deadline); });
}

void RateInstance::ask(std::uint64_t number, std::uint32_t want, Nanos deadline, Done done,
                       std::function<void(std::uint64_t op)> call) {
  const auto answer = [number, want, done = std::move(done)](Answer &&said) {
    auto lease = rate_lease(std::move(said), want);
    lease.number = number;
    done(std::move(lease));
  };
  Operation operation;
  operation.done = answer;
  const auto op = instance_.open(std::move(operation), message_, deadline);
  if (op == 0) return answer(plugin_failure("the plugin has too much to do"));
  if (instance_.blocking())
    instance_.run_blocking(op, [op, call = std::move(call)] { call(op); });
  else
    instance_.run(op, [&] { call(op); });
}

void RateInstance::start(std::uint64_t op, const wire::RateAsk &ask, Nanos deadline) const {
  mansio_rate_request request{};
  request.size = sizeof request;
  request.want = ask.want;
  request.limit = str(ask.limit);
  request.key = str(ask.key);
  request.per_second = ask.per_second;
  request.burst = ask.burst;
  request.deadline = deadline;
  table_->lease(instance_.self(), mansio_op{op}, &request);
}

void RateInstance::start(std::uint64_t op, const wire::RateHold &ask, Nanos deadline) const {
  mansio_rate_places request{};
  request.size = sizeof request;
  request.held = ask.held;
  request.want = ask.want;
  request.capacity = ask.capacity;
  request.limit = str(ask.limit);
  request.key = str(ask.key);
  request.holder = str(ask.holder);
  request.number = ask.number;
  request.rest = ask.rest;
  request.deadline = deadline;
  table_->hold(instance_.self(), mansio_op{op}, &request);
}

// It has an operation only here, so that somebody knows when a thread is through with it.
void RateInstance::give_back(const wire::RateUnused &unused, std::function<void()> done) {
  if (!table_->give_back) return done();
  Operation operation;
  operation.done = [done](Answer &&) { done(); };
  const auto op = instance_.open(std::move(operation), message_, clock_.mono() + kGiveBackLimit);
  if (op == 0) return done();
  if (instance_.blocking())
    instance_.run_blocking(op, [this, op, unused] { tell(op, unused); });
  else
    instance_.run(op, [&] { tell(op, unused); });
}

void RateInstance::tell(std::uint64_t op, const wire::RateUnused &unused) {
  table_->give_back(instance_.self(), str(unused.limit), str(unused.key), unused.units);
  mansio_reply reply{};
  reply.size = sizeof reply;
  reply.status = MANSIO_OK;
  instance_.answer(op, -1, &reply);
}

}  // namespace mansio::host
