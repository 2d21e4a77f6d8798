// An auth plugin in this process.
#include <fmt/format.h>

#include <utility>

#include "kernel/host/auth.hpp"
#include "kernel/host/breaker.hpp"
#include "kernel/host/instance.hpp"
#include "mansio/draft/auth.h"

namespace mansio::host {
namespace {

wire::AuthResult auth_result(Answer &&answer) {
  using wire::AuthOutcome;
  wire::AuthResult r;
  r.text = std::move(answer.outcome.text);
  auto &values = answer.values;
  switch (answer.status) {
    case MANSIO_SKIP:
      r.outcome = AuthOutcome::Continue;
      if (!values.empty()) r.challenge = std::move(values.front());
      break;
    case MANSIO_OK:
      if (values.empty()) return auth_failure("it lets somebody in and does not say whom");
      r.outcome = AuthOutcome::Ok;
      if (values.size() > 1 && !values[1].empty() && values[1] != values[0]) {
        r.user = std::move(values[1]);
        r.login = std::move(values[0]);
      } else {
        r.user = std::move(values[0]);
      }
      break;
    case MANSIO_FAIL:
      r.outcome = AuthOutcome::Fail;
      break;
    case MANSIO_DEFER:
    case MANSIO_BUSY:
      r.outcome = AuthOutcome::Defer;
      break;
    default:
      if (r.text.empty()) r.text = fmt::format("it answered with status {}", answer.status);
      break;
  }
  return valid(r) ? r : auth_failure("it answered what breaks the rules");
}

class AuthInProcess final : public AuthInstance {
 public:
  AuthInProcess(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
      : clock_(around.clock),
        log_(around.log),
        plugin_(plugin.name),
        message_(std::make_shared<const MessageSource>()),
        breaker_(options.limits.breaker_failures, options.limits.breaker_window, options.limits.breaker_time),
        instance_(around, plugin, std::move(options), "auth", {nullptr, nullptr, plugin_failure, nullptr}) {}

  Result<void> begin() {
    const auto table = instance_.begin(kAuthKind);
    if (!table) return table.error();
    table_ = static_cast<const mansio_auth *>(*table);
    if (!table_->start || !table_->mechanisms)
      return Error{Status::BadConfig, fmt::format("auth {}: the plugin has no {}()", instance_.name(),
                                                  table_->start ? "mechanisms" : "start")};
    instance_.on_cancel(table_->cancel);
    clear_ = ask_mechanisms(1);
    secure_ = ask_mechanisms(0);
    if (clear_.empty() && secure_.empty())
      return Error{Status::BadConfig, fmt::format("auth {}: the plugin offers no mechanism", instance_.name())};
    return {};
  }

  std::string mechanisms(bool clear) const override { return clear ? clear_ : secure_; }
  std::uint64_t exchange() override { return ++last_exchange_; }

  void start(wire::AuthCall call, Done done) override {
    const auto now = clock_.mono();
    if (!breaker_.allows(now)) {
      ++instance_.metrics().host.refused;
      return done(auth_failure("it keeps failing and is not asked for a while"));
    }
    const auto deadline = now + call.time_limit;
    Operation operation;
    operation.done = [this, done](Answer &&answer) {
      auto result = auth_result(std::move(answer));
      judge(result.outcome == wire::AuthOutcome::Failed);
      done(std::move(result));
    };
    const auto op = instance_.open(std::move(operation), message_, deadline);
    if (op == 0) {
      breaker_.not_begun();
      return done(auth_failure("it has too much to do"));
    }
    if (instance_.blocking())
      instance_.run_blocking(op, [this, op, deadline, call = std::move(call)] { begin_step(op, call, deadline); });
    else
      instance_.run(op, [&] { begin_step(op, call, deadline); });
  }

  void forget(std::uint64_t exchange) override {
    if (table_->forget) instance_.run(0, [&] { table_->forget(instance_.self(), exchange); });
  }
  std::size_t in_flight() const override { return instance_.in_flight(); }
  std::uint64_t misbehaviours() const override { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const override { instance_.stats(add); }

 private:
  std::string ask_mechanisms(int clear) {
    std::string names;
    instance_.run(0, [&] {
      const auto said = table_->mechanisms(instance_.self(), clear);
      if (said.p && said.n > 0) names.assign(said.p, said.n);
    });
    return canonical_mechanisms(names);
  }

  void judge(bool failed) {
    if (!failed) {
      if (breaker_.open()) log_.info("breaker closed: the plugin answers again", {{"auth", instance_.name()}});
      return breaker_.succeeded();
    }
    if (breaker_.failed(clock_.mono()))
      log_.error("breaker open: the plugin keeps failing and is not asked for a while; nobody is let in",
                 {{"auth", instance_.name()}, {"plugin", plugin_}});
  }

  void begin_step(std::uint64_t op, const wire::AuthCall &call, Nanos deadline) const {
    mansio_auth_step step{};
    step.size = sizeof step;
    step.step = call.step;
    step.exchange = call.exchange;
    step.mechanism = str(call.mechanism);
    if (call.has_response) step.response = str(call.response);
    step.client_address = str(call.client_address);
    step.client_helo = str(call.client_helo);
    step.tls = str(call.tls);
    step.deadline = deadline;
    table_->start(instance_.self(), mansio_op{op}, &step);
  }

  const Clock &clock_;
  Logger &log_;
  const std::string plugin_;
  const std::shared_ptr<const MessageSource> message_;  // none; every operation has one
  const mansio_auth *table_ = nullptr;
  std::string clear_, secure_;
  std::uint64_t last_exchange_ = 0;
  Breaker breaker_;
  Instance instance_;  // last: it goes first
};

}  // namespace

Result<std::unique_ptr<AuthInstance>> AuthInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options) {
  auto instance = std::make_unique<AuthInProcess>(around, plugin, std::move(options));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<AuthInstance>{std::move(instance)};
}

}  // namespace mansio::host
