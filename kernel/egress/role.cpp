#include "kernel/egress/role.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "kernel/egress/desk.hpp"
#include "kernel/egress/generic_maps.hpp"
#include "kernel/egress/policy_gate.hpp"
#include "kernel/host/commands.hpp"
#include "kernel/host/configured.hpp"
#include "kernel/host/late_start.hpp"
#include "kernel/host/remote.hpp"
#include "kernel/host/submit_link.hpp"
#include "kernel/host/tables.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/host/watchdog.hpp"
#include "kernel/io/interfaces.hpp"
#include "kernel/process/resolver.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::egress {
namespace {

// Before the drain's end, what is under way is told to give up, so that its outcome can still be reported.
constexpr Nanos kCancelBefore = 2 * kSecond;  // or a quarter of the time there is
// How long a drained process waits for a queue that is gone to come back and take the last outcomes.
constexpr Nanos kQueueReturns = 3 * kSecond;

class Egress final : public process::Role {
 public:
  // The instance goes first: its plugin may still speak while it is taken down.
  ~Egress() override {
    watchdog_.reset();
    instance_.reset();
    tables_.reset();
    desk_.reset();
  }

  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    running_.show(context);
    const auto &name = context.start.transport;
    const auto *settings = context.settings.transport(name);
    if (!settings) return Error{Status::BadConfig, fmt::format("transport {}: not in the configuration", name)};
    dns_ = process::make_resolver(context);

    desk_ = std::make_unique<Desk>(context.loop, context.log, name, std::max(settings->process_limit, 1u));
    auto events = desk_->events();
    events.working_on = [&context](std::uint64_t message) {
      context.shared.working_on(context.start.slot, MessageId{message});
    };
    timer_ = std::make_unique<asio::steady_timer>(context.loop);
    const bool isolated = settings->budget.isolation == config::Isolation::Process;
    if (!isolated || !settings->smtp_generic_maps.empty())
      tables_ = host::TableSet::as_configured(
          context.settings, context.start.plugin_dir,
          host::surroundings_in(context, *dns_, nullptr, &running_, &submissions_, &commands_));
    if (isolated) {
      auto remote =
          std::make_unique<host::RemoteTransport>(context.loop, context.clock, context.log, name, std::move(events));
      remote_ = remote.get();
      instance_ = std::move(remote);
    } else {
      auto made = create_here(*settings, std::move(events));
      if (!made) return made.error();
      instance_ = std::move(*made);
    }
    if (!settings->smtp_generic_maps.empty()) rewrite_addresses(*settings);
    if (!context.settings.queue.policies.empty()) ask_policies(name);
    desk_->employ(instance_.get());
    const bool tables_here = tables_ && host::TableSet::any_here(context.settings);
    if ((!isolated || tables_here) && !context.start.threaded)
      watchdog_ = host::watch_plugins(context.loop, "egress", running_);
    return {};
  }

  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    if (peer.kind == wire::RoleKind::Host) {
      if (remote_ && peer.name == "host.transport." + context_->start.transport)
        remote_->attach(std::move(channel), peer.pid);
      else if (gate_ && gate_->attach(peer.name, channel))
        return;
      else if (tables_)
        tables_->attach(peer.name, std::move(channel));
      return;
    }
    if (peer.kind == wire::RoleKind::Router) return submissions_.attach(std::move(channel));
    if (peer.kind != wire::RoleKind::Queue) return;
    desk_->attach(std::move(channel), [this, peer] { context_->lost_peer(peer); });
  }

  void drain(Nanos deadline_mono) override {
    desk_->drain([this] { nothing_in_hand(); });
    const auto within = std::max<Nanos>(deadline_mono - context_->clock.mono(), 0);
    after(within - std::min(kCancelBefore, within / 4), [this] { desk_->cancel_all(); });
  }

  void plugin_call(const wire::PluginCall &call, const std::function<void(wire::PluginCalled &&)> &done) override {
    commands_.call(call, done);
  }

  void stats(const std::function<void(std::string name, double value)> &add) override {
    const auto label = "{transport=\"" + context_->start.transport + "\"";
    const auto &c = desk_->counters();
    const auto outcome = [&](const char *status, std::uint64_t n) {
      add(fmt::format("mansio_deliveries_total{},status=\"{}\"}}", label, status), static_cast<double>(n));
    };
    outcome("sent", c.sent);
    outcome("deferred", c.deferred);
    outcome("bounced", c.bounced);
    outcome("uncertain", c.uncertain);
    add("mansio_leases_total" + label + "}", static_cast<double>(c.leases));
    add("mansio_leases_refused_total" + label + "}", static_cast<double>(c.refused));
    add("mansio_deliveries_in_flight" + label + "}", static_cast<double>(desk_->running()));
    add("mansio_outcomes_unacknowledged" + label + "}", static_cast<double>(desk_->held() - desk_->running()));
    if (instance_) instance_->stats(add);
    if (tables_) tables_->stats(add);
  }

 private:
  // The transport in this process, which runs nothing else.
  Result<std::unique_ptr<host::TransportInstance>> create_here(const config::Transport &settings,
                                                               host::TransportInstance::Events events) {
    const auto &context = *context_;
    auto loaded = host::load_alone(settings, "transport " + settings.name, context);
    if (!loaded) return loaded.error();
    auto &most = loaded->options.limits.in_flight;
    most = std::max<std::size_t>(most, settings.process_limit);
    return host::start_transport(
        host::surroundings_in(context, *dns_, tables_.get(), &running_, &submissions_, &commands_), loaded->plugin,
        std::move(loaded->options), std::move(events));
  }

  // What delivers gets its leases from one that looks up the addresses in them.
  void rewrite_addresses(const config::Transport &settings) {
    const auto &context = *context_;
    auto maps =
        std::make_shared<const route::Generic>(context.settings, settings.smtp_generic_maps, io::interface_addresses());
    instance_ = std::make_unique<GenericMaps>(
        context.loop, context.clock, context.log, settings.name, std::move(maps), *tables_, std::move(instance_),
        [this](std::uint64_t lease, const wire::RecipientOutcome &why) { desk_->defer(lease, why); });
  }

  // Before anything else.
  void ask_policies(const std::string &transport) {
    const auto &context = *context_;
    auto gate = std::make_unique<PolicyGate>(
        context.clock, transport,
        std::make_unique<host::QueuePolicies>(context.loop, context.clock, context.log, context.settings),
        std::move(instance_),
        [this](std::uint64_t lease, const wire::PolicyWord &word) { desk_->turn_away(lease, word); });
    gate_ = gate.get();
    instance_ = std::move(gate);
  }

  void nothing_in_hand() {
    if (desk_->held() == 0) return finish();
    after(kQueueReturns, [this] { finish(); });
  }
  // The plugin goes too: watches on its idle connections would keep the loop from running empty.
  void finish() {
    timer_->cancel();
    if (finished_) return;
    finished_ = true;
    watchdog_.reset();
    desk_->employ(nullptr);
    remote_ = nullptr;
    gate_ = nullptr;
    instance_.reset();
    tables_.reset();  // its plugins may have connections, too
    context_->finished();
  }
  void after(Nanos time, std::function<void()> run) {
    timer_->expires_after(std::chrono::nanoseconds{std::max<Nanos>(time, 0)});
    timer_->async_wait([run = std::move(run)](ErrorCode e) {
      if (!e) run();
    });
  }

  process::RoleContext *context_ = nullptr;
  host::Running running_;
  host::Commands commands_;
  host::SubmitLink submissions_;  // to the router; before all that runs plugins
  std::unique_ptr<io::Dns> dns_;
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<host::TableSet> tables_;
  std::unique_ptr<host::TransportInstance> instance_;
  host::RemoteTransport *remote_ = nullptr;   // instance_, or what is behind it, when it is one
  PolicyGate *gate_ = nullptr;                // instance_, if that is one
  std::unique_ptr<host::Watchdog> watchdog_;  // where a plugin's code runs here
  std::unique_ptr<asio::steady_timer> timer_;
  bool finished_ = false;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<Egress>(); }

}  // namespace mansio::egress
