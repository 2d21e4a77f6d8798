// A filter or policy plugin in this process.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernel/host/filter.hpp"
#include "kernel/host/guarded.hpp"
#include "kernel/host/instance.hpp"
#include "kernel/host/stage_rules.hpp"
#include "kernel/host/stage_work.hpp"
#include "mansio/draft/filter.h"

namespace mansio::host {
namespace {

wire::StageResult stage_result(Answer &&answer) {
  using wire::StageOutcome;
  wire::StageResult r;
  r.text = std::move(answer.outcome.text);
  r.told = std::move(answer.values);
  if (!fits_recording(r.told)) r.told.clear();
  const auto refuses = [&](StageOutcome outcome, std::uint16_t hundred) {
    r.outcome = outcome;
    if (answer.outcome.smtp_code / 100 == hundred) r.smtp_code = answer.outcome.smtp_code;
    if (answer.outcome.enhanced.subject != 0 || answer.outcome.enhanced.detail != 0)
      r.enhanced = answer.outcome.enhanced;
  };
  switch (answer.status) {
    case MANSIO_OK:
      r.outcome = StageOutcome::Ok;
      return r;
    case MANSIO_SKIP:
      r.outcome = StageOutcome::Skip;
      return r;
    case MANSIO_DEFER:
      refuses(StageOutcome::Defer, 4);
      r.retry = std::max<Nanos>(answer.retry, 0);
      return r;
    case MANSIO_FAIL:
      refuses(StageOutcome::Fail, 5);
      return r;
    default:
      if (r.text.empty()) r.text = fmt::format("it answered with status {}", answer.status);
      return r;
  }
}

// Calls f(const mansio_stage &), which borrows from the call.
template <class F>
void with_stage(const wire::StageCall &call, Nanos deadline, F f) {
  std::vector<mansio_str> arguments;
  arguments.reserve(call.arguments.size());
  for (const auto &argument : call.arguments) arguments.push_back(str(argument));
  std::vector<mansio_pair> macros;
  macros.reserve(call.macros.size());
  for (const auto &[name, value] : call.macros) macros.push_back({str(name), str(value)});
  const auto queue_id = call.id ? to_string(call.id) : std::string{};
  mansio_stage stage{};
  stage.size = sizeof stage;
  stage.stage = call.stage;
  stage.session = str(call.session);
  stage.queue_id = str(queue_id);
  stage.arguments = arguments.data();
  stage.n_arguments = arguments.size();
  stage.macros = macros.data();
  stage.n_macros = macros.size();
  stage.length = call.length;
  stage.deadline = deadline;
  f(stage);
}

// The parts that have a breaker each. A plugin may fail at recipients and never at senders, so each command is one, and
// disconnecting too. The content is one with all its stages: a message has many of them, and what goes well before the
// field that makes the plugin fail is no recovery. Each stage of the queue is one.
constexpr std::size_t kContentPart = MANSIO_STAGE_HEADER, kDisconnectPart = kContentPart + 1,
                      kQueueParts = kDisconnectPart + 1,
                      kParts = kQueueParts + (MANSIO_STAGE_BOUNCE - MANSIO_STAGE_ROUTE + 1);

std::size_t part_of(std::uint32_t stage) {
  if (stage < MANSIO_STAGE_HEADER) return stage;
  if (is_content(stage)) return kContentPart;
  const bool queued = stage >= MANSIO_STAGE_ROUTE && stage <= MANSIO_STAGE_BOUNCE;
  return queued ? kQueueParts + (stage - MANSIO_STAGE_ROUTE) : kDisconnectPart;
}

class FilterInProcess final : public FilterInstance {
 public:
  FilterInProcess(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, const char *kind)
      : clock_(around.clock),
        kind_(kind),
        filter_(std::string_view{kind} == kFilterKind),
        nothing_(std::make_shared<const MessageSource>()),
        plugin_(around, plugin, std::move(options),
                {filter_ ? "filter" : "policy", "on_failure answers", "it has too much to do"}, kParts) {}

  Result<void> begin() {
    const auto table = plugin_.begin(kind_);
    if (!table) return table.error();
    table_ = static_cast<const mansio_filter *>(*table);
    if (!table_->start || !table_->stages)
      return Error{Status::BadConfig, fmt::format("{} {}: the plugin has no {}()", filter_ ? "filter" : "policy",
                                                  plugin_->name(), table_->start ? "stages" : "start")};
    plugin_->on_cancel(table_->cancel);
    bool told = false;
    plugin_->run(0, [&] {
      stages_ = table_->stages(plugin_->self());
      told = true;
    });
    if (filter_) stages_ &= (std::uint64_t{1} << MANSIO_STAGE_ROUTE) - 1;  // those of the queue are for policies
    if (!told || stages_ == 0)                                             // one that lets everything pass is none
      return Error{Status::BadConfig,
                   fmt::format("{} {}: the plugin {} which stages it wants to see", filter_ ? "filter" : "policy",
                               plugin_->name(), told ? "does not say" : "failed when it was asked")};
    return {};
  }

  std::uint64_t stages() const override { return stages_; }
  std::uint32_t incarnation() const override { return 1; }

  std::uint64_t start(wire::StageCall call, std::shared_ptr<const FilterContent> content, Done done,
                      std::function<void()> progressed) override {
    if ((stages_ >> call.stage & 1) == 0) {
      wire::StageResult skipped;
      skipped.outcome = wire::StageOutcome::Skip;
      done(std::move(skipped));
      return 0;
    }
    const auto work = std::make_shared<StageWork>(std::move(call), filter_);
    const auto &facts = work->call();
    Guarded::Question question;
    auto &operation = question.operation;
    operation.message = facts.id;
    operation.time_limit = facts.time_limit;
    operation.latest = clock_.mono() + facts.total_limit;
    operation.progressed = std::move(progressed);
    operation.done = [this, work, done](Answer &&answer) {
      const bool busy = answer.status == MANSIO_BUSY;
      auto result = stage_result(std::move(answer));
      work->close(result);
      judge(*work, result, busy);
      done(std::move(result));
    };
    question.message = source(std::move(content));
    question.work = work;
    question.part = part_of(facts.stage);
    if (is_content(facts.stage)) question.part_of = facts.id.value;
    const auto opened = plugin_.open(std::move(question), facts.time_limit);
    if (opened.why_not) {
      done(stage_failure(opened.why_not));
      return 0;
    }
    const auto run = [this, opened, work] {
      with_stage(work->call(), opened.deadline,
                 [&](const mansio_stage &stage) { table_->start(plugin_->self(), mansio_op{opened.op}, &stage); });
    };
    if (plugin_->blocking())
      plugin_->run_blocking(opened.op, run);
    else
      plugin_->run(opened.op, run);
    return opened.op;
  }

  // A client that goes away is not to open a breaker.
  void cancel(std::uint64_t number) override {
    if (const auto work = plugin_->work(number)) work->give_up();
    plugin_->cancel(number);
  }
  void abort(const std::string &session, MessageId id) override {
    if (!table_->abort) return;
    const auto queue_id = id ? to_string(id) : std::string{};
    plugin_->run(0, [&] { table_->abort(plugin_->self(), str(session), str(queue_id)); });
  }
  std::size_t in_flight() const override { return plugin_->in_flight(); }
  std::uint64_t misbehaviours() const override { return plugin_->misbehaviours(); }
  void stats(const StatsSink &add) const override { plugin_.stats(add); }

 private:
  // One that has too much to do is well, as one that says "later" is.
  void judge(const StageWork &work, const wire::StageResult &result, bool busy) {
    using wire::StageOutcome;
    const auto stage = work.call().stage;
    if (work.given_up()) return plugin_.not_judged(part_of(stage));
    const bool failed = result.outcome == StageOutcome::Failed && !busy;
    const bool goes_on = result.outcome == StageOutcome::Ok || result.outcome == StageOutcome::Skip;
    if (is_content(stage) && goes_on && !work.call().last) return;  // the rest of it will tell
    plugin_.judge(failed, result.text, part_of(stage), stage_name(stage));
  }
  std::shared_ptr<const MessageSource> source(std::shared_ptr<const FilterContent> content) const {
    if (!content) return nothing_;
    MessageSource source;
    const auto &file = content->file;
    if (file.size() > 0) source.slices.push_back({sizeof(mansio_slice), file.get(), 0, file.size()});
    source.lend = [&file] { return file.freeze().ok(); };
    source.keep = std::move(content);
    return std::make_shared<const MessageSource>(std::move(source));
  }

  const Clock &clock_;
  const char *const kind_;
  const bool filter_;
  const std::shared_ptr<const MessageSource> nothing_;
  const mansio_filter *table_ = nullptr;
  std::uint64_t stages_ = 0;
  Guarded plugin_;  // last: it goes first
};

}  // namespace

wire::StageResult stage_failure(std::string why) {
  wire::StageResult r;
  r.outcome = wire::StageOutcome::Failed;
  r.text = std::move(why);
  return r;
}

Result<std::unique_ptr<FilterInstance>> FilterInstance::create(const Surroundings &around, const mansio_plugin &plugin,
                                                               InstanceOptions options, const char *kind) {
  auto instance = std::make_unique<FilterInProcess>(around, plugin, std::move(options), kind);
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<FilterInstance>{std::move(instance)};
}

}  // namespace mansio::host
