// How an instance comes up: configuration, log, limits, spool, shared memory; the queue first, because its start
// decides whether this spool is ours; listeners; then everybody else at once.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "kernel/process/memfd.hpp"
#include "kernel/supervisor/config_load.hpp"
#include "kernel/supervisor/files.hpp"
#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

// After a kill -9 of the former supervisor its children are still ending: they hold ports and the spool's lock for
// a moment.
constexpr Nanos kLeftovers = 5 * kSecond;
constexpr Nanos kTryAgain = 100 * kMillisecond;

constexpr std::size_t kShownProblems = 10;

// Until the configuration names another.
io::UniqueFd first_log() {
  auto fd = open_log("stderr");
  return fd ? std::move(*fd) : io::UniqueFd{};
}

}  // namespace

Supervisor::Supervisor(asio::io_context &loop, const Clock &clock, Launcher &launcher, Options options)
    : loop_(loop),
      clock_(clock),
      launcher_(launcher),
      options_(std::move(options)),
      output_(process::make_log_output("stderr", first_log(), "mansio/supervisor")),
      teller_(loop,
              [this](const wire::LogLines &lines) {
                relay_log(encode(lines));
                return true;
              }),
      told_(std::make_unique<process::ToldLog>(*output_, teller_)),
      log_(*told_, clock, "supervisor"),
      wake_(loop),
      born_(clock.mono()) {}

Supervisor::~Supervisor() = default;

Task<> Supervisor::event(Nanos at_most) {
  ErrorCode ignored;
  wake_.expires_after(std::chrono::nanoseconds{at_most});
  co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Task<Result<std::shared_ptr<Generation>>> Supervisor::load(std::uint32_t epoch) {
  auto checked = co_await load_config(loop_, launcher_, options_.config, options_.spool);
  if (!checked) co_return checked.error();
  if (!checked->problems.empty()) {
    for (const auto &p : checked->problems) log_.error("configuration refused", {{"reason", p}});
    // Whoever asked for a reload sees this and not the log; a reply has its limits.
    std::string text;
    for (std::size_t i = 0; i < checked->problems.size(); ++i) {
      if (i == kShownProblems) {
        text += fmt::format("; and {} more, which the log names", checked->problems.size() - i);
        break;
      }
      text += (i > 0 ? "; " : "") + checked->problems[i];
    }
    co_return Error{Status::BadConfig, text};
  }
  const auto limit = raise_descriptor_limit(checked->plan.descriptors());
  if (auto shortage = descriptor_shortage(checked->plan, limit, launcher_.threads()); !shortage.empty())
    co_return Error{Status::BadConfig, shortage};
  if (current_)
    if (auto why = incompatible(current_->checked, *checked); !why.empty()) co_return Error{Status::BadConfig, why};
  auto next = std::make_shared<Generation>();
  next->epoch = epoch;
  auto snapshot = process::sealed_memfd("mansio-config", checked->snapshot);
  if (!snapshot) co_return snapshot.error();
  next->snapshot = std::move(*snapshot);
  next->checked = std::move(*checked);
  co_return next;
}

Result<void> Supervisor::open_log_output(const config::Plan &plan) {
  auto fd = open_log(plan.log_target);
  if (!fd) return Error{Status::BadConfig, "log: " + fd.error().text};
  auto copy = process::duplicate(*fd);
  if (!copy) return copy.error();
  auto output = process::make_log_output(plan.log_target, std::move(*copy), plan.syslog_name + "/supervisor");
  auto told = std::make_unique<process::ToldLog>(*output, teller_);
  log_ = Logger{*told, clock_, "supervisor", plan.log_level};
  told_ = std::move(told);
  output_ = std::move(output);
  log_fd_ = std::move(*fd);
  log_target_ = plan.log_target;
  return {};
}

// Everything an instance needs before its first process.
Task<Result<void>> Supervisor::open_instance() {
  const auto &checked = current_->checked;
  if (auto log = open_log_output(checked.plan); !log) co_return log.error();
  if (auto spool = make_spool(checked.plan.spool, checked.uid, checked.gid); !spool)
    co_return Error{spool.error().status, "spool: " + spool.error().text};
  auto lock = lock_instance(checked.plan.spool);
  if (!lock) co_return lock.error();
  lock_ = std::move(*lock);
  for (const auto give_up = clock_.mono() + kLeftovers;;) {
    auto opened = listeners_.open(checked.plan.listeners);
    if (opened) break;
    if (opened.error().status != Status::Busy || clock_.mono() >= give_up || stop_requests_ != 0)
      co_return opened.error();
    co_await event(kTryAgain);
  }
  auto shared = process::SharedMemory::create();
  if (!shared) co_return shared.error();
  shared_ = std::move(*shared);
  Fleet::Hooks hooks;
  hooks.message = [this](Post &p, io::Message &m) { on_message(p, m); };
  hooks.ready = [this](Post &p) {
    if (log_wanted_) p.child->channel->send(wire::LogWanted{true});
  };
  hooks.changed = [this] { wake(); };
  hooks.log_fd = [this] { return process::duplicate(log_fd_); };
  fleet_ = std::make_unique<Fleet>(loop_, clock_, log_, launcher_, *shared_, listeners_, std::move(hooks));
  co_return Result<void>{};
}

Task<Result<void>> Supervisor::start_queue() {
  auto &queue = fleet_->add(wire::RoleKind::Queue, 0, "queue", current_);
  for (const auto give_up = clock_.mono() + kLeftovers;;) {
    fleet_->start(queue);
    while (queue.child && !queue.ready() && stop_requests_ == 0) co_await event(kSecond);
    if (queue.ready() || stop_requests_ != 0) break;
    if (clock_.mono() >= give_up) co_return Error{Status::Fail, "queue: " + queue.last_failure};
    co_await event(kTryAgain);
  }
  fleet_->enter_service(queue);
  co_return Result<void>{};
}

std::vector<Post *> Supervisor::start_generation(const std::shared_ptr<const Generation> &generation) {
  const auto &checked = generation->checked;
  std::vector<Post *> posts;
  // First, so that those who use them find them.
  for (std::uint32_t i = 0; i < checked.plan.hosts.size(); ++i) {
    const auto &host = checked.plan.hosts[i];
    auto &post = fleet_->add(wire::RoleKind::Host, i, host.name, generation);
    post.transport = host.transport;
    post.lookup = host.lookup;
    post.filter = host.filter;
    post.policy = host.policy;
    post.event = host.event;
    post.rate = host.rate;
    post.auth = host.auth;
    post.store = host.store;
    post.for_queue = host.for_queue;
    post.needs = host.needs;
    post.breaker = Breaker{host.breaker_deaths, host.breaker_window, host.breaker_time};
    posts.push_back(&post);
  }
  posts.push_back(&fleet_->add(wire::RoleKind::Router, 0, "router", generation));
  for (std::uint32_t i = 0; i < checked.plan.ingress_processes; ++i)
    posts.push_back(&fleet_->add(wire::RoleKind::Ingress, i, fmt::format("ingress.{}", i), generation));
  for (std::uint32_t i = 0; i < checked.plan.transports.size(); ++i) {
    auto &post = fleet_->add(wire::RoleKind::Egress, i, "egress." + checked.plan.transports[i].name, generation);
    post.transport = checked.plan.transports[i].name;
    const auto isolated = std::any_of(checked.plan.hosts.begin(), checked.plan.hosts.end(),
                                      [&](const auto &host) { return host.transport == post.transport; });
    post.needs = isolated ? 0 : checked.needs[i];  // its plugin runs elsewhere
    posts.push_back(&post);
  }
  for (auto *p : posts) fleet_->start(*p);
  return posts;
}

// Until every one of them is ready; an error names the first that failed.
Task<Result<void>> Supervisor::all_ready(const std::vector<Post *> &posts) {
  for (;;) {
    bool all = true;
    for (const auto *p : posts) {
      // A plugin that does not start must not keep mail from flowing that does not need it.
      if (p->kind == wire::RoleKind::Host && !p->child) continue;
      if (p->waits) {
        all = false;
        continue;
      }
      if (!p->child) co_return Error{Status::Fail, p->name + ": " + p->last_failure};
      all = all && p->ready();
    }
    if (all) co_return Result<void>{};
    if (stop_requests_ != 0) co_return Error{Status::Cancelled, "told to stop"};
    co_await event(kSecond);
  }
}

void Supervisor::log_ready() {
  std::string where;
  for (const auto &l : listeners_.all()) where += (where.empty() ? "" : " ") + l.listener + "=" + l.shown;
  log_.info("ready", {{"listeners", where}, {"epoch", current_->epoch}, {"spool", current_->checked.plan.spool}});
}

Task<int> Supervisor::run() {
  ++epochs_;
  auto first = co_await load(epochs_);
  if (!first) {
    log_.error("not started", {{"reason", first.error().text}, {"config", options_.config}});
    co_return first.error().status == Status::BadConfig ? kExitConfig : kExitFailed;
  }
  current_ = std::move(*first);
  auto up = co_await open_instance();
  if (up) up = co_await start_queue();
  if (up && stop_requests_ == 0) {
    auto posts = start_generation(current_);
    posts.push_back(&fleet_->add(wire::RoleKind::Control, 0, "control", current_));
    fleet_->start(*posts.back());
    // There is no old configuration that could stay in force: what on_failure says is better than no server.
    for (auto *p : posts) p->persists = true;
    up = co_await all_ready(posts);
    if (up)
      for (auto *p : posts) fleet_->enter_service(*p);
  }
  if (!up && up.error().status != Status::Cancelled) {
    log_.error("not started", {{"reason", up.error().text}});
    if (fleet_) co_await shut_down();
    co_return kExitFailed;
  }
  if (stop_requests_ == 0) log_ready();
  while (stop_requests_ == 0) {
    if (reload_wanted_) {
      reload_wanted_ = false;
      co_await reload();
    } else {
      fleet_->sweep();
      co_await event(3600 * kSecond);
    }
  }
  co_await shut_down();
  co_return 0;
}

std::uint64_t raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  if (limit.rlim_max < wanted) {  // root may go beyond the hard limit, as far as fs.nr_open
    const rlimit more{wanted, wanted};
    if (::setrlimit(RLIMIT_NOFILE, &more) == 0) return wanted;
  }
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace mansio::supervisor
