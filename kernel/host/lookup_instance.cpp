// A lookup plugin in this process.
#include <fmt/format.h>

#include "kernel/host/breaker.hpp"
#include "kernel/host/instance.hpp"
#include "kernel/host/lookup.hpp"

namespace mansio::host {
namespace {

class LookupInProcess final : public LookupInstance {
 public:
  LookupInProcess(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options)
      : clock_(around.clock),
        log_(around.log),
        plugin_(plugin.name),
        message_(std::make_shared<const MessageSource>()),
        breaker_(options.limits.breaker_failures, options.limits.breaker_window, options.limits.breaker_time),
        instance_(around, plugin, std::move(options), "lookup", {nullptr, nullptr, plugin_failure, nullptr}) {}

  Result<void> begin() {
    const auto table = instance_.begin(kLookupKind);
    if (!table) return table.error();
    table_ = static_cast<const mansio_lookup *>(*table);
    if (!table_->start)
      return Error{Status::BadConfig, fmt::format("lookup {}: the plugin has no start()", instance_.name())};
    instance_.on_cancel(table_->cancel);
    return {};
  }

  void lookup(std::string_view key, Nanos time_limit, Done done) override {
    const auto now = clock_.mono();
    if (!breaker_.allows(now)) {
      ++instance_.metrics().host.refused;
      return done(lookup_failure("it keeps failing and is not asked for a while"));
    }
    const auto deadline = now + time_limit;
    Operation operation;
    operation.done = [this, done](Answer &&answer) {
      const auto said = table_answer(std::move(answer));
      judge(said.failed);
      done(said);
    };
    const auto op = instance_.open(std::move(operation), message_, deadline);
    if (op == 0) {
      breaker_.not_begun();
      return done(lookup_failure("the lookup has too much to do"));
    }
    if (instance_.blocking()) {
      instance_.run_blocking(op, [this, op, deadline, key = std::string{key}] { start(op, key, deadline); });
    } else {
      instance_.run(op, [&] { start(op, key, deadline); });
    }
  }
  std::size_t in_flight() const override { return instance_.in_flight(); }
  std::uint64_t misbehaviours() const override { return instance_.misbehaviours(); }
  void stats(const StatsSink &add) const override { instance_.stats(add); }

 private:
  void judge(bool failed) {
    if (!failed) {
      if (breaker_.open()) log_.info("breaker closed: the plugin answers again", {{"lookup", instance_.name()}});
      return breaker_.succeeded();
    }
    if (breaker_.failed(clock_.mono()))
      log_.error("breaker open: the plugin keeps failing and is not asked for a while; on_failure answers",
                 {{"lookup", instance_.name()}, {"plugin", plugin_}});
  }

  void start(std::uint64_t op, std::string_view key, Nanos deadline) const {
    mansio_lookup_request request{};
    request.size = sizeof request;
    request.table = str(instance_.name());
    request.key = str(key);
    request.deadline = deadline;
    table_->start(instance_.self(), mansio_op{op}, &request);
  }

  const Clock &clock_;
  Logger &log_;
  const std::string plugin_;
  const std::shared_ptr<const MessageSource> message_;  // none; every operation has one
  const mansio_lookup *table_ = nullptr;
  Breaker breaker_;
  Instance instance_;  // last: it goes first
};

}  // namespace

io::TableAnswer lookup_failure(std::string why) {
  io::TableAnswer answer;
  answer.failed = true;
  answer.text = std::move(why);
  return answer;
}

Result<std::unique_ptr<LookupInstance>> LookupInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                               InstanceOptions options) {
  auto instance = std::make_unique<LookupInProcess>(around, plugin, std::move(options));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<LookupInstance>{std::move(instance)};
}

}  // namespace mansio::host
