// An auth plugin in this process.
#include <fmt/format.h>

#include <utility>

#include "kernel/host/auth.hpp"
#include "kernel/host/guarded.hpp"
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
      : plugin_(around, plugin, std::move(options), {"auth", "nobody is let in", "it has too much to do"}) {}

  Result<void> begin() {
    const auto table = plugin_.begin(kAuthKind);
    if (!table) return table.error();
    table_ = static_cast<const mansio_auth *>(*table);
    if (!table_->start || !table_->mechanisms)
      return Error{Status::BadConfig, fmt::format("auth {}: the plugin has no {}()", plugin_->name(),
                                                  table_->start ? "mechanisms" : "start")};
    plugin_->on_cancel(table_->cancel);
    clear_ = ask_mechanisms(1);
    secure_ = ask_mechanisms(0);
    if (clear_.empty() && secure_.empty())
      return Error{Status::BadConfig, fmt::format("auth {}: the plugin offers no mechanism", plugin_->name())};
    return {};
  }

  std::string mechanisms(bool clear) const override { return clear ? clear_ : secure_; }
  std::uint64_t exchange() override { return ++last_exchange_; }

  void start(wire::AuthCall call, Done done) override {
    const auto opened = plugin_.open(call.time_limit, [this, done](Answer &&answer) {
      auto result = auth_result(std::move(answer));
      plugin_.judge(result.outcome == wire::AuthOutcome::Failed, result.text);
      done(std::move(result));
    });
    if (opened.why_not) return done(auth_failure(opened.why_not));
    if (plugin_->blocking())
      plugin_->run_blocking(opened.op, [this, opened, call = std::move(call)] { begin_step(opened, call); });
    else
      plugin_->run(opened.op, [&] { begin_step(opened, call); });
  }

  void forget(std::uint64_t exchange) override {
    if (table_->forget) plugin_->run(0, [&] { table_->forget(plugin_->self(), exchange); });
  }
  std::size_t in_flight() const override { return plugin_->in_flight(); }
  std::uint64_t misbehaviours() const override { return plugin_->misbehaviours(); }
  void stats(const StatsSink &add) const override { plugin_.stats(add); }

 private:
  std::string ask_mechanisms(int clear) {
    std::string names;
    plugin_->run(0, [&] {
      const auto said = table_->mechanisms(plugin_->self(), clear);
      if (said.p && said.n > 0) names.assign(said.p, said.n);
    });
    return canonical_mechanisms(names);
  }

  void begin_step(const Guarded::Opened &opened, const wire::AuthCall &call) const {
    mansio_auth_step step{};
    step.size = sizeof step;
    step.step = call.step;
    step.exchange = call.exchange;
    step.mechanism = str(call.mechanism);
    if (call.has_response) step.response = str(call.response);
    step.client_address = str(call.client_address);
    step.client_helo = str(call.client_helo);
    step.tls = str(call.tls);
    step.deadline = opened.deadline;
    table_->start(plugin_->self(), mansio_op{opened.op}, &step);
  }

  const mansio_auth *table_ = nullptr;
  std::string clear_, secure_;
  std::uint64_t last_exchange_ = 0;
  Guarded plugin_;  // last: it goes first
};

}  // namespace

Result<std::unique_ptr<AuthInstance>> AuthInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                           InstanceOptions options) {
  auto instance = std::make_unique<AuthInProcess>(around, plugin, std::move(options));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<AuthInstance>{std::move(instance)};
}

}  // namespace mansio::host
