#include "kernel/host/instance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "kernel/host/option_check.hpp"

namespace mansio::host {
namespace {

constexpr std::size_t kMostOverdue = 100'000;  // beyond that a late answer counts as one to nothing
constexpr std::uint32_t kThreads = 16;         // of a blocking plugin that leaves it to us

// Where an instance is configured: of the labels one is not the name of a table ("event" means something else in the
// log).
std::string_view table_of(std::string_view label) { return label == "event_sink" ? "event" : label; }

Running::Code code_of(const Surroundings &around, std::string_view label, std::string_view name) {
  Running::Code code{fmt::format("{} {}", label, name), 0};
  if (around.shared) code.instance = around.shared->instance_tag(around.config_epoch, code.name);
  return code;
}

}  // namespace

Instance::Instance(const Surroundings &around, const mansio_plugin &plugin, InstanceOptions options, const char *label,
                   Events events)
    : clock_(around.clock),
      log_(around.log),
      dns_(around.dns),
      tables_(around.tables),
      running_in_(around.running),
      submitter_(around.submitter),
      desk_(around.commands),
      shared_(around.shared),
      slot_(around.slot),
      plugin_(plugin),
      options_(std::move(options)),
      label_(label),
      code_(code_of(around, label, options_.name)),
      address_(fmt::format("{}.{}", table_of(label), options_.name)),
      events_(std::move(events)),
      host_{sizeof host_, MANSIO_ABI_MINOR, this,
            [](const mansio_host *, const char *iface) noexcept { return service(iface); }},
      timers_(around.loop),
      watches_(around.loop),
      inbox_(around.loop) {
  options_.facts.try_emplace("instance", options_.name);
  options_.facts.try_emplace("kind", table_of(label));
  if (desk_) desk_->add(this);
  if (plugin_.threading == MANSIO_BLOCKING) {
    auto threads = plugin_.max_concurrency ? plugin_.max_concurrency : kThreads;
    if (options_.limits.threads) threads = std::min(threads, options_.limits.threads);
    pool_.emplace(threads);
  }
}

Instance::~Instance() {
  // Nobody listens any more, but plugin code still runs in destroy(), so the marker stays of use.
  ending_ = true;
  if (desk_) desk_->remove(this);
  events_.recipient = nullptr;
  events_.complete = nullptr;
  for (const auto op : operations_.all()) operations_.close(op);
  if (pool_) pool_->stop();
  if (self_) call(0, [&] { plugin_.destroy(self_); });
  inbox_.close();
}

Result<const void *> Instance::begin(const char *kind) {
  mansio_status status = MANSIO_INTERNAL;
  beginning_ = true;
  if (!call(0, [&] { status = plugin_.create(&host_, &self_); })) status = MANSIO_INTERNAL;
  beginning_ = false;
  metrics_.freeze();
  if (status != MANSIO_OK) {
    self_ = nullptr;
    commands_.clear();
    return Error{status == MANSIO_BAD_CONFIG ? Status::BadConfig : Status::Internal,
                 fmt::format("{} {}: {} did not start: {}", label_, options_.name, plugin_.name,
                             complaints_.empty() ? "it does not say why" : complaints_)};
  }
  const void *table = nullptr;
  call(0, [&] { table = plugin_.get(self_, kind); });
  if (!table)
    return Error{Status::Unsupported,
                 fmt::format("{} {}: {} is no {} with these options", label_, options_.name, plugin_.name, label_)};
  return table;
}

// ---- operations --------------------------------------------------------------------------------------------------

std::uint64_t Instance::open(Operation operation, std::shared_ptr<const MessageSource> source, Nanos deadline_at,
                             std::shared_ptr<StageWork> work) {
  if (operations_.size() >= options_.limits.in_flight) {
    ++metrics_.host.refused;
    return 0;
  }
  operation.started = clock_.mono();
  const auto within = deadline_at - operation.started;
  const auto op = operations_.open(std::move(operation), std::move(source), std::move(work));
  ++metrics_.host.operations;
  if (deadline_at > 0) operations_.find(op)->timer = timers_.add(within, [this, op] { deadline(op); });
  return op;
}

// On a thread of the pool. The marker tells one message apart only: with several at work it says nothing, and they are
// tried one at a time after a crash.
void Instance::run_blocking(std::uint64_t op, std::function<void()> f) {
  running_.insert(op);
  mark(0);
  pool_->run(op, [this, op, f = std::move(f)] {
    std::string threw;
    try {
      const Running::ThreadScope running{code_};
      f();
    } catch (const std::exception &e) {
      threw = std::string{"threw an exception: "} + e.what();
    } catch (...) {
      threw = "threw an exception";
    }
    inbox_.put([this, op, threw = std::move(threw)] {
      stopped_running(op);
      if (threw.empty()) return;
      misbehaves(threw, operations_.message(op).value_or(MessageId{}));
      if (operations_.find(op)) end(op, events_.trouble("the plugin failed"));
    });
  });
}

void Instance::stopped_running(std::uint64_t op) {
  running_.erase(op);
  mark(0);
}

void Instance::mark(std::uint64_t message) {
  if (!events_.working_on) return;
  if (message == 0 && running_.size() == 1)
    message = operations_.message(*running_.begin()).value_or(MessageId{}).value;
  events_.working_on(message);
}

void Instance::cancel(std::uint64_t op) {
  if (!operations_.find(op)) return;
  operations_.no_more_alive(op);
  if (pool_ && pool_->take_back(op)) {
    stopped_running(op);
    auto last = events_.trouble("cancelled before it began");
    if (last.outcome.status == wire::DeliveryStatus::Uncertain) last.outcome.status = wire::DeliveryStatus::Deferred;
    last.outcome.plugin_failed = false;
    return end(op, std::move(last));
  }
  if (cancel_ && !operations_.find(op)->command) call(op, [&] { cancel_(self_, mansio_op{op}); });
}

// The plugin gets one chance to say how things stand; what it leaves open may have happened.
void Instance::deadline(std::uint64_t op) {
  if (!operations_.find(op)) return;
  const auto message = operations_.find(op)->message;
  cancel(op);
  if (!operations_.find(op)) return;
  ++metrics_.host.timed_out;
  log_.warn("operation exceeded its time limit", {{"qid", message}, {label_, options_.name}, {"plugin", plugin_.name}});
  if (overdue_.size() < kMostOverdue) overdue_.insert(op);
  end(op, events_.trouble("time limit exceeded"));
}

// Its time limit begins anew, within the time that it has in all.
void Instance::progress(std::uint64_t op) {
  if (!on_loop()) return inbox_.put([this, op] { progress(op); });
  auto *operation = operations_.find(op);
  if (!operation || operation->time_limit == 0 || operation->timer == 0 || !operations_.alive(op)) return;
  const auto left = operation->latest - clock_.mono();
  if (left <= 0) return;
  timers_.cancel(operation->timer);
  operation->timer = timers_.add(std::min(operation->time_limit, left), [this, op] { deadline(op); });
  if (operation->progressed) operation->progressed();
}

void Instance::answer(std::uint64_t op, std::int64_t recipient, const mansio_reply *reply) {
  Report report{op, recipient, read_reply(reply)};
  if (on_loop() && depth_ > 0) {
    reports_.push_back(std::move(report));
    return;
  }
  inbox_.put([this, report = std::move(report)]() mutable { take(report); });
}

void Instance::take(Report &report) {
  if (ending_) return;
  auto *operation = operations_.find(report.op);
  if (!operation) {
    if (overdue_.contains(report.op)) {  // it was told too late, or could not stop
      ++metrics_.host.late;
      if (report.recipient < 0) overdue_.erase(report.op);
      return;
    }
    return misbehaves("answered an operation that is over");
  }
  if (report.answer.cut_short) misbehaves("answered with a reply that is shorter than any was", operation->message);
  if (report.recipient < 0) return end(report.op, std::move(report.answer));
  const auto index = static_cast<std::size_t>(report.recipient);
  if (index >= operation->recipients) return misbehaves("reported a recipient that is not there", operation->message);
  if (operation->reported[index]) return misbehaves("reported a recipient twice", operation->message);
  operation->reported[index] = true;
  operation->site_failure |= report.answer.site_failure;
  auto outcome = std::move(report.answer.outcome);
  outcome.index = static_cast<std::uint32_t>(index);
  if (events_.recipient) events_.recipient(*operation, outcome);
}

void Instance::end(std::uint64_t op, Answer &&last) {
  const auto operation = operations_.take(op);
  timers_.cancel(operation.timer);
  metrics_.host.busy += clock_.mono() - operation.started;
  if (last.status < 0) ++metrics_.host.failed;
  if (operation.done)
    operation.done(std::move(last));
  else if (events_.complete)
    events_.complete(operation, std::move(last));
}

// Events may start operations, whose plugin calls report in turn: the outermost flush takes those too.
void Instance::flush() {
  if (flushing_) return;
  flushing_ = true;
  const std::weak_ptr alive{alive_};
  while (!reports_.empty()) {
    std::vector<Report> batch;
    batch.swap(reports_);
    for (auto &report : batch) {
      take(report);
      if (alive.expired()) return;
    }
    if (reports_.empty()) {  // keep the memory
      batch.clear();
      batch.swap(reports_);
    }
  }
  flushing_ = false;
}

void Instance::misbehaves(std::string_view what, MessageId message) {
  ++metrics_.host.misbehaviours;
  if (!may_log()) return;
  log_.warn("plugin misbehaves", {{"qid", message}, {label_, options_.name}, {"plugin", plugin_.name}, {"what", what}});
}

std::string Instance::labels() const {
  return fmt::format("{{{}=\"{}\",plugin=\"{}\"}}", label_, options_.name, plugin_.name);
}

void Instance::stats(const StatsSink &add) const { metrics_.stats(labels(), operations_.size(), add); }

}  // namespace mansio::host
