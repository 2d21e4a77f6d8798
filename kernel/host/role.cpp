#include "kernel/host/role.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "kernel/config/plan.hpp"
#include "kernel/host/auth_service.hpp"
#include "kernel/host/commands.hpp"
#include "kernel/host/configured.hpp"
#include "kernel/host/event_service.hpp"
#include "kernel/host/filter_service.hpp"
#include "kernel/host/large.hpp"
#include "kernel/host/lookup.hpp"
#include "kernel/host/rate.hpp"
#include "kernel/host/store_service.hpp"
#include "kernel/host/submit_link.hpp"
#include "kernel/host/tables.hpp"
#include "kernel/host/transport.hpp"
#include "kernel/host/watchdog.hpp"
#include "kernel/io/awake.hpp"
#include "kernel/process/resolver.hpp"
#include "kernel/process/shared.hpp"
#include "kernel/wire/host_messages.hpp"

namespace mansio::host {
namespace {

std::uint64_t address_space() {
  std::ifstream in{"/proc/self/statm"};
  std::uint64_t pages = 0;
  in >> pages;
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Result<void> limit(int resource, const char *name, std::uint64_t value) {
  const rlimit to{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &to) != 0)
    return Error{Status::Internal, fmt::format("{} cannot be set to {}", name, value)};
  return {};
}

class Host final : public process::Role {
 public:
  ~Host() override {
    for (const auto *channels : {&channels_, &tables_that_ask_})
      for (const auto &channel : *channels) channel->close();
    watchdog_.reset();
    lookup_.reset();
    transport_.reset();
    filter_.reset();
    event_.reset();
    rate_.reset();
    auth_.reset();
    store_.reset();
    tables_.reset();
  }

  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    running_.show(context);
    const auto &settings = context.settings;
    const auto *lookup = settings.lookup(context.start.lookup);
    const auto *transport = settings.transport(context.start.transport);
    const auto *policy = settings.policy(context.start.policy);
    const auto *filter = policy ? policy : settings.filter(context.start.filter);
    const auto *event = settings.event(context.start.event);
    const auto *rate = settings.rate(context.start.rate);
    const auto *auth = settings.auth(context.start.auth);
    const auto *store = settings.store(context.start.store);
    if (!lookup && !transport && !filter && !event && !rate && !auth && !store)
      return Error{Status::BadConfig, "nothing to host"};
    const auto table = lookup      ? PluginTable{*lookup}
                       : transport ? PluginTable{*transport}
                       : filter    ? PluginTable{*filter}
                       : event     ? PluginTable{*event}
                       : rate      ? PluginTable{*rate}
                       : auth      ? PluginTable{*auth}
                                   : PluginTable{*store};
    auto loaded = load_alone(table, table.name, context);
    if (!loaded) return loaded.error();
    const auto &plugin = loaded->plugin;
    auto &instance = loaded->options;
    if (transport)
      instance.limits.in_flight = std::max<std::size_t>(instance.limits.in_flight, transport->process_limit);

    dns_ = process::make_resolver(context);
    auto around = surroundings_in(context, *dns_, nullptr, &running_, &submissions_, &commands_);
    around.stays_awake = table.budget.cpu_limit == 0;
    tables_ = TableSet::as_configured(settings, context.start.plugin_dir, around);
    around.tables = tables_.get();

    if (!context.start.threaded) {
      if (auto limited = restrict_to(table.budget, channels_to_plugins(settings, lookup != nullptr)); !limited)
        return limited;
      watchdog_ = watch_plugins(context.loop, "host", running_, table.budget.cpu_limit);
    }
    if ((lookup || filter || auth) && around.stays_awake) awake_.emplace(context.loop);
    if (lookup) {
      auto made = LookupInstance::create(around, plugin, std::move(instance));
      if (!made) return made.error();
      lookup_ = std::move(*made);
    } else if (filter) {
      auto made = FilterInstance::create(around, plugin, std::move(instance), policy ? kPolicyKind : kFilterKind);
      if (!made) return made.error();
      filter_ = std::make_unique<FilterService>(std::move(*made));
    } else if (event) {
      auto made = EventInstance::create(around, plugin, std::move(instance));
      if (!made) return made.error();
      event_ = std::make_unique<EventService>(context.loop, context.clock, std::move(*made), [this] { check_idle(); });
    } else if (rate) {
      auto made = RateInstance::create(around, plugin, std::move(instance));
      if (!made) return made.error();
      rate_ = std::move(*made);
    } else if (auth) {
      auto made = AuthInstance::create(around, plugin, std::move(instance));
      if (!made) return made.error();
      auth_ = std::make_unique<AuthService>(std::move(*made));
    } else if (store) {
      auto made = StoreInstance::create(around, plugin, std::move(instance));
      if (!made) return made.error();
      store_ = std::make_unique<StoreService>(std::move(*made), [this] { check_idle(); });
    } else {
      auto made = TransportInstance::create(around, plugin, std::move(instance), events());
      if (!made) return made.error();
      transport_ = std::move(*made);
    }
    return {};
  }

  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    const bool table = peer.kind == wire::RoleKind::Host && peer.name.starts_with("host.lookup.");
    (table ? tables_that_ask_ : channels_).insert(channel);
    const std::weak_ptr weak{channel};
    if (awake_) channel->expect_one_by_one();
    channel->start(
        [this, weak](io::Message &m) {
          if (awake_) awake_->has_come();
          receive(weak, m);
          if (awake_) awake_->expect();
        },
        [this, which = channel.get()](std::string_view) { gone(which); });
    if (filter_) filter_->greet(*channel);
    if (event_) event_->greet(*channel);
    if (auth_) auth_->greet(*channel);
  }

  void attach_asked(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    if (peer.kind == wire::RoleKind::Router) return submissions_.attach(std::move(channel));
    if (tables_) tables_->attach(peer.name, std::move(channel));
  }

  // Its clients drain first, or hear that it drains; when the last of them has gone there is nothing left to do. Tables
  // that ask this one have the same clients, and nothing to ask without them: two may ask each other.
  void drain(Nanos) override {
    draining_ = true;
    check_idle();
  }

  void plugin_call(const wire::PluginCall &call, const std::function<void(wire::PluginCalled &&)> &done) override {
    commands_.call(call, done);
  }

  void stats(const StatsSink &add) override {
    if (lookup_) lookup_->stats(add);
    if (transport_) transport_->stats(add);
    if (filter_) filter_->instance().stats(add);
    if (event_) event_->instance().stats(add);
    if (rate_) rate_->stats(add);
    if (auth_) auth_->instance().stats(add);
    if (store_) store_->instance().stats(add);
  }

 private:
  // Channels that are not the plugin's own at most: it may ask all tables, and a table be asked by all; and there are
  // two routers while a reload lasts.
  static std::uint64_t channels_to_plugins(const config::Settings &settings, bool table) {
    const auto plan = config::make_plan(settings);
    const auto tables = std::ranges::count_if(plan.hosts, [](const auto &host) { return !host.lookup.empty(); });
    return static_cast<std::uint64_t>(tables) + (table ? plan.hosts.size() : 0) + 2;
  }

  static Result<void> restrict_to(const config::Budget &budget, std::uint64_t channels) {
    if (budget.descriptor_limit != 0)
      if (auto set = limit(RLIMIT_NOFILE, "descriptor_limit", budget.descriptor_limit + channels); !set) return set;
    if (budget.memory_limit != 0)
      if (auto set = limit(RLIMIT_AS, "memory_limit", address_space() + budget.memory_limit); !set) return set;
    return {};
  }

  void receive(const std::weak_ptr<io::Channel> &from, io::Message &m) {
    switch (m.type) {
      case wire::LookupCall::kType:
        if (const auto call = decode<wire::LookupCall>(m.payload); call && lookup_) look_up(from, *call);
        return;
      case wire::Lease::kType:
        if (const auto lease = decode<wire::Lease>(m.payload); lease && transport_) deliver(*lease, m.fds);
        return;
      case wire::DeliveryCancel::kType:
        if (const auto c = decode<wire::DeliveryCancel>(m.payload); c && transport_) transport_->cancel(c->lease);
        return;
      case wire::Events::kType:
        if (auto events = decode<wire::Events>(m.payload); events && event_) event_->take(from, std::move(*events));
        return;
      case wire::RateAsk::kType:
        if (const auto ask = decode<wire::RateAsk>(m.payload); ask && rate_) lease_permits(from, *ask);
        return;
      case wire::RateHold::kType:
        if (const auto hold = decode<wire::RateHold>(m.payload); hold && rate_) hold_places(from, *hold);
        return;
      case wire::RateUnused::kType:
        if (const auto unused = decode<wire::RateUnused>(m.payload); unused && rate_)
          rate_->give_back(*unused, [this] { check_idle(); });
        return;
      default:
        if (const auto client = from.lock(); filter_ && client && filter_->receive(client, m)) return;
        if (const auto client = from.lock(); auth_ && client && auth_->receive(client, m)) return;
        if (const auto client = from.lock(); store_ && client && store_->receive(client, m)) return;
        context_->log.warn("unknown message from a client", {{"type", m.type}});
    }
  }

  void look_up(const std::weak_ptr<io::Channel> &from, const wire::LookupCall &call) {
    lookup_->lookup(call.key, call.time_limit, [from, number = call.number](const io::TableAnswer &answer) {
      const auto to = from.lock();
      if (!to) return;
      const wire::LookupResult result{
          number, static_cast<std::uint8_t>(answer.outcome), answer.values, answer.text, answer.failed, answer.ttl};
      if (send_any(*to, result)) return;
      // The client is far behind, or there is no memory: it waits no longer than its time limit.
      to->send(wire::LookupResult{number,
                                  static_cast<std::uint8_t>(io::TableAnswer::Outcome::TryLater),
                                  {},
                                  "the answer could not be sent",
                                  true,
                                  0});
    });
  }

  void lease_permits(const std::weak_ptr<io::Channel> &from, const wire::RateAsk &ask) {
    rate_->lease(ask, [this, from, limit = ask.limit, key = ask.key](wire::RateLease &&lease) {
      // The queue process waits no longer than its time limit. What does not reach it, it does not use.
      const auto to = from.lock();
      if ((!to || !to->send(lease)) && lease.units > 0)
        rate_->give_back({limit, key, lease.units}, [this] { check_idle(); });
      check_idle();
    });
  }

  // What does not reach the queue process it does not use, and says so the next time.
  void hold_places(const std::weak_ptr<io::Channel> &from, const wire::RateHold &hold) {
    rate_->hold(hold, [this, from](wire::RateLease &&lease) {
      if (const auto to = from.lock()) to->send(lease);
      check_idle();
    });
  }

  void deliver(const wire::Lease &lease, std::vector<io::UniqueFd> &fds) {
    if (fds.empty() || !fds[0]) {
      wire::RecipientOutcome lost;
      lost.enhanced = {4, 3, 0};
      lost.text = "the message's descriptor was lost";
      lost.plugin_failed = true;
      tell(wire::DeliveryDone{lease.lease, lost, false, {}});
      return;
    }
    struct stat st {};
    ::fstat(fds[0].get(), &st);
    auto keep = std::make_shared<io::UniqueFd>(std::move(fds[0]));
    MessageSource source;
    if (st.st_size > 0)
      source.slices.push_back({sizeof(mansio_slice), keep->get(), 0, static_cast<std::uint64_t>(st.st_size)});
    source.keep = std::move(keep);
    transport_->start(lease, std::move(source));
  }

  TransportInstance::Events events() {
    TransportInstance::Events e;
    e.recipient = [this](std::uint64_t lease, const wire::RecipientOutcome &outcome) {
      tell(wire::DeliveryRecipient{lease, outcome});
    };
    e.complete = [this](std::uint64_t lease, const wire::RecipientOutcome &last, bool site_failure,
                        const std::string &destination) {
      tell(wire::DeliveryDone{lease, last, site_failure, destination});
      check_idle();
    };
    e.working_on = [this](std::uint64_t message) {
      context_->shared.working_on(context_->start.slot, MessageId{message});
    };
    return e;
  }

  // A transport has one client.
  template <class M>
  void tell(const M &message) {
    for (const auto &channel : channels_) channel->send(message);
  }

  // Deliveries of an egress that is gone may be given to another at any time: nothing here may go on with them.
  void gone(const io::Channel *which) {
    if (filter_) filter_->gone(which);
    if (auth_) auth_->gone(which);
    for (auto *channels : {&channels_, &tables_that_ask_})
      std::erase_if(*channels, [&](const auto &c) { return c.get() == which; });
    if (transport_ && transport_->in_flight() > 0) std::_Exit(0);
    check_idle();
  }

  void check_idle() {
    const bool busy = (event_ && !event_->idle()) || (rate_ && rate_->in_flight() > 0) || (store_ && !store_->idle());
    if (!draining_ || !channels_.empty() || busy || finished_) return;
    finished_ = true;
    asio::post(context_->loop, [this] {
      watchdog_.reset();
      lookup_.reset();
      transport_.reset();
      filter_.reset();
      event_.reset();
      rate_.reset();
      auth_.reset();
      store_.reset();
      tables_.reset();
      context_->finished();
    });
  }

  process::RoleContext *context_ = nullptr;
  Running running_;
  Commands commands_;
  SubmitLink submissions_;  // to the router; before all that runs plugins
  std::unique_ptr<io::Dns> dns_;
  std::unique_ptr<TableSet> tables_;
  std::unique_ptr<LookupInstance> lookup_;
  std::unique_ptr<TransportInstance> transport_;
  std::unique_ptr<FilterService> filter_;
  std::unique_ptr<EventService> event_;
  std::unique_ptr<RateInstance> rate_;
  std::unique_ptr<AuthService> auth_;
  std::unique_ptr<StoreService> store_;
  std::unique_ptr<Watchdog> watchdog_;
  std::optional<io::Awake> awake_;                                     // for the next question
  std::set<std::shared_ptr<io::Channel>> channels_, tables_that_ask_;  // of its clients
  bool draining_ = false, finished_ = false;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<Host>(); }

}  // namespace mansio::host
