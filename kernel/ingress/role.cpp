#include "kernel/ingress/role.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "kernel/host/commands.hpp"
#include "kernel/host/configured.hpp"
#include "kernel/host/store_set.hpp"
#include "kernel/host/submit_link.hpp"
#include "kernel/host/tables.hpp"
#include "kernel/host/watchdog.hpp"
#include "kernel/ingress/authenticators.hpp"
#include "kernel/ingress/client_rates.hpp"
#include "kernel/ingress/filters.hpp"
#include "kernel/ingress/queue_link.hpp"
#include "kernel/ingress/recorder.hpp"
#include "kernel/ingress/route_policy.hpp"
#include "kernel/ingress/server.hpp"
#include "kernel/ingress/table_policy.hpp"
#include "kernel/ingress/tls.hpp"
#include "kernel/io/interfaces.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/process/resolver.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::ingress {
namespace {

class SharedCensus final : public Census {
 public:
  SharedCensus(process::SharedMemory &shared, std::uint32_t slot) : shared_(shared), slot_(slot) {}
  std::uint32_t connections(std::string_view listener) const override { return shared_.connections(listener); }
  Nanos stressed_until(std::string_view listener) const override { return shared_.stressed_until(listener); }
  bool stress(std::string_view listener, Nanos until) override { return shared_.stress(listener, until); }
  bool relax(std::string_view listener, Nanos now) override { return shared_.relax(listener, now); }
  process::Admission connect(std::string_view listener, const process::ClientKey &client,
                             process::ConnectionLimits limits) override {
    return shared_.connect(slot_, listener, client, limits);
  }
  void disconnect(std::string_view listener, const process::ClientKey &client) override {
    shared_.disconnect(slot_, listener, client);
  }
  std::uint32_t count_event(std::string_view listener, const process::ClientKey &client, process::ClientEvent event,
                            process::RateTime time) override {
    return shared_.count_event(slot_, listener, client, event, time);
  }
  std::uint32_t counted_events(std::string_view listener, const process::ClientKey &client, process::ClientEvent event,
                               process::RateTime time) const override {
    return shared_.counted_events(listener, client, event, time);
  }

 private:
  process::SharedMemory &shared_;
  std::uint32_t slot_;
};

// Before the drain's end, clients that are still sending a message are told that they are cut off.
constexpr Nanos kCutBefore = kSecond;  // or a quarter of the time there is

// What is not known counts as the same.
bool same_disk(const std::string &a, const std::string &b) {
  struct stat of_a {
  }, of_b{};
  return ::stat(a.c_str(), &of_a) != 0 || ::stat(b.c_str(), &of_b) != 0 || of_a.st_dev == of_b.st_dev;
}

class IngressRole final : public process::Role {
 public:
  // The plugins go first: they may still speak while they are taken down.
  ~IngressRole() override {
    watchdog_.reset();
    filters_.reset();
    authenticators_.reset();
    table_policy_.reset();
    tables_.reset();
  }

  Result<void> prepare(process::RoleContext &context) override {
    context_ = &context;
    running_.show(context);
    const auto &settings = context.settings;
    const auto addresses = io::interface_addresses();
    policy_ = std::make_unique<RoutePolicy>(settings, addresses);
    census_ = std::make_unique<SharedCensus>(context.shared, context.start.slot);
    link_ = std::make_unique<QueueLink>(context.loop, context.log);
    spool::WriterOptions writing;
    writing.memory = settings.spool_settings.body_memory;
    writer_ = spool::Writer::create(context.loop, context.clock, context.log, *link_, writing);
    stores_ = host::StoreSet::create(settings, context.loop, context.clock, context.log);
    dns_ = process::make_resolver(context);
    if (TablePolicy::needed(settings)) {
      tables_ = host::TableSet::as_configured(settings, context.start.plugin_dir, surroundings());
      table_policy_ =
          std::make_unique<TablePolicy>(settings, addresses, context.loop, context.clock, context.log, *tables_);
    }
    server_ = std::make_unique<Server>(Environment{context.loop, context.clock, context.log, settings,
                                                   context.start.config_epoch, *writer_, *policy_, *link_, *census_,
                                                   dns_.get(), table_policy_.get(), stores_.get()});
    if (auto ready = prepare_plugins(); !ready) return ready;
    prepare_recorder();
    for (const auto &listener : settings.listeners) {
      auto &service = services_[listener.name];
      service.name = listener.name;
      service.smtpd = listener.smtpd;
      if (listener.protocol == "qmqp")
        service.qmqpd = Qmqpd{listener.qmqpd_authorized_clients, listener.qmqpd_timeout, listener.qmqpd_error_delay};
      service.filters = filters_->chain(listener, session_prefix(listener.name), recorder_.get());
      service.auth = authenticators_->link(listener.smtpd);
      if (auto ready = prepare_tls(service); !ready) return ready;
    }
    return {};
  }

  void run() override {
    tick_ = std::make_unique<asio::steady_timer>(context_->loop);
    tick();
    for (auto &[key, reload] : certificates_) reload_later(reload);
  }

  void attach(const wire::Peer &peer, std::shared_ptr<io::Channel> channel) override {
    if (peer.kind == wire::RoleKind::Queue) return link_->attach(std::move(channel));
    if (peer.kind == wire::RoleKind::Router) return submissions_.attach(std::move(channel));
    if (peer.kind != wire::RoleKind::Host || (stores_ && stores_->attach(peer.name, channel))) return;
    if (!filters_ || filters_->attach(peer.name, channel)) return;
    if (authenticators_ && authenticators_->attach(peer.name, channel)) return;
    if (tables_) tables_->attach(peer.name, std::move(channel));
  }

  void listener(const wire::Listener &listener, io::UniqueFd socket) override {
    const auto service = services_.find(listener.name);
    if (service == services_.end()) {
      context_->log.error("listener without configuration", {{"listener", listener.name}});
      return;
    }
    server_->listen(service->second, std::move(socket));
  }

  void drain(Nanos deadline_mono) override {
    cut_before(deadline_mono);
    server_->drain([this] { no_session_left(); });
  }

  void retire(Nanos deadline_mono, Nanos sessions_until) override {
    cut_before(deadline_mono);
    sessions_end_ = std::make_unique<asio::steady_timer>(context_->loop);
    sessions_end_->expires_after(std::chrono::nanoseconds{sessions_until - context_->clock.mono()});
    sessions_end_->async_wait([this](ErrorCode e) {
      if (!e && !stopped_) server_->drain([this] { no_session_left(); });
    });
    server_->retire([this] { no_session_left(); });
  }

  void plugin_call(const wire::PluginCall &call, const std::function<void(wire::PluginCalled &&)> &done) override {
    commands_.call(call, done);
  }

  void stats(const std::function<void(std::string, double)> &each) override {
    for (const auto &[name, service] : services_) {
      const auto label = "{listener=\"" + name + "\"}";
      const auto &c = service.counters;
      const auto give = [&](const char *what, std::uint64_t n) {
        each("mansio_smtpd_" + std::string{what} + label, static_cast<double>(n));
      };
      for (std::size_t i = 0; i < c.rate_limited.size(); ++i)
        each(fmt::format("mansio_smtpd_rate_limited_total{{listener=\"{}\",event=\"{}\"}}", name,
                         event_name(static_cast<process::ClientEvent>(i))),
             static_cast<double>(c.rate_limited[i]));
      give("sessions", c.sessions);
      give("connections_total", c.connections);
      give("connections_refused_total", c.refused_connections);
      give("messages_total", c.messages);
      give("recipients_total", c.recipients);
      give("bytes_total", c.bytes);
      give("recipients_rejected_total", c.rejected_recipients);
      give("messages_rejected_total", c.rejected_messages);
      give("messages_deferred_total", c.deferred_messages);
      give("messages_held_back_total", c.braked_messages);
      give("timeouts_total", c.timeouts);
      give("protocol_errors_total", c.protocol_errors);
      give("tls_sessions_total", c.tls_sessions);
      give("tls_failures_total", c.tls_failures);
      give("authentications_total", c.authentications);
      give("authentications_failed_total", c.authentications_failed);
      give("authentications_deferred_total", c.authentications_deferred);
      give("noncanonical_messages_total", c.noncanonical_messages);
      give("stresses_total", c.stresses);
      give("stressed", service.stressed ? 1 : 0);
    }
    if (filters_) filters_->stats(each);
    if (authenticators_) authenticators_->stats(each);
    if (recorder_) {
      const auto &r = recorder_->counters();
      each("mansio_recorded_sessions_total", static_cast<double>(r.sessions));
      each("mansio_recorded_bytes_total", static_cast<double>(r.bytes));
      each("mansio_recording", r.recording ? 1 : 0);
    }
    if (stores_) stores_->stats(each);
    each("mansio_smtpd_queue_attached", link_->attached() ? 1 : 0);
    each("mansio_smtpd_spare_segment", link_->spare() ? 1 : 0);
    each("mansio_smtpd_body_memory_bytes", static_cast<double>(writer_->memory()));
    if (!table_policy_) return;
    each("mansio_smtpd_table_questions_total", static_cast<double>(table_policy_->counters().questions));
    each("mansio_smtpd_table_deferrals_total", static_cast<double>(table_policy_->counters().later));
    tables_->stats(each);
  }

 private:
  void cut_before(Nanos deadline_mono) {
    const auto within = std::max<Nanos>(deadline_mono - context_->clock.mono(), 0);
    cut_ = std::make_unique<asio::steady_timer>(context_->loop);
    cut_->expires_after(std::chrono::nanoseconds{within - std::min(kCutBefore, within / 4)});
    cut_->async_wait([this](ErrorCode e) {
      if (!e) server_->cut();
    });
  }

  // Nothing is being committed: the segments can be handed back.
  void no_session_left() {
    if (std::exchange(stopped_, true)) return;
    if (tick_) tick_->cancel();
    cut_->cancel();
    if (sessions_end_) sessions_end_->cancel();
    for (auto &[key, certificate] : certificates_) certificate.timer->cancel();
    writer_->close();
    link_->close();
    if (stores_) stores_->close();
    table_policy_.reset();
    watchdog_.reset();
    filters_.reset();
    authenticators_.reset();
    recorder_.reset();
    tables_.reset();  // its plugins may have connections, which would keep the loop from running empty
    context_->finished();
  }

  struct Certificate {
    std::shared_ptr<TlsContext> context;
    Nanos interval = 0;
    std::unique_ptr<asio::steady_timer> timer;
  };

  // Without tables.
  host::Surroundings surroundings() {
    return host::surroundings_in(*context_, *dns_, nullptr, &running_, &submissions_, &commands_);
  }

  Result<void> prepare_plugins() {
    const auto &c = *context_;
    const bool here = Filters::any_here(c.settings) || Authenticators::any_here(c.settings);
    auto around = surroundings();
    // Those whose code runs here may ask tables, too.
    if (!tables_ && here) tables_ = host::TableSet::as_configured(c.settings, c.start.plugin_dir, around);
    around.tables = tables_.get();
    auto made = Filters::create(c.settings, c.start.plugin_dir, around);
    if (!made) return made.error();
    filters_ = std::move(*made);
    auto known = Authenticators::create(c.settings, c.start.plugin_dir, around);
    if (!known) return known.error();
    authenticators_ = std::move(*known);
    const bool tables_here = tables_ && host::TableSet::any_here(c.settings);
    if ((here || tables_here) && !c.start.threaded) watchdog_ = host::watch_plugins(c.loop, "ingress", running_);
    return {};
  }

  void prepare_recorder() {
    const auto &c = *context_;
    Recorder::Options options;
    options.directory = process::recordings_directory(c.start, c.settings);
    if (options.directory.empty()) return;
    options.process = c.start.self.name;
    options.size_limit = c.settings.record_size_limit;
    options.total_limit = c.settings.record_total_limit;
    options.body_limit = c.settings.record_body_limit;
    options.memory += 8 * options.body_limit;
    // The reserve is what new mail is refused for, and recordings are not to be its reason.
    if (same_disk(options.directory, c.start.spool))
      options.keep_free = c.settings.spool_settings.reserve + options.size_limit;
    recorder_ = std::make_unique<Recorder>(c.loop, c.clock, c.log, std::move(options));
  }

  // No session of another process or generation has an id that begins so.
  std::string session_prefix(const std::string &listener) const {
    return fmt::format("{}.{:x}.{}", context_->start.self.name, context_->clock.mono(), listener);
  }

  // Listeners with the same files share a context. A certificate that does not load at start fails the start: the
  // operator is at the keyboard then, and a reload keeps the old generation.
  Result<void> prepare_tls(Service &service) {
    const auto &smtpd = service.smtpd;
    if (smtpd.tls_security_level == config::TlsLevel::None || smtpd.tls_cert_file.empty()) return {};
    const auto &key_file = smtpd.tls_key_file.empty() ? smtpd.tls_cert_file : smtpd.tls_key_file;
    auto &certificate = certificates_[{smtpd.tls_cert_file, key_file}];
    if (!certificate.context) {
      certificate.context = std::make_shared<TlsContext>(smtpd.tls_cert_file, key_file, context_->log);
      certificate.timer = std::make_unique<asio::steady_timer>(context_->loop);
      std::optional<Result<bool>> loaded;
      certificate.context->look(context_->open_file, [&](Result<bool> r) { loaded.emplace(std::move(r)); });
      while (!loaded && context_->loop.run_one() > 0) {
      }
      if (!loaded) return Error{Status::BadConfig, smtpd.tls_cert_file + ": no answer from the supervisor"};
      if (!*loaded) return loaded->error();
    }
    if (certificate.interval == 0 || smtpd.tls_reload_interval < certificate.interval)
      certificate.interval = smtpd.tls_reload_interval;
    service.tls = certificate.context;
    return {};
  }

  void reload_later(Certificate &certificate) {
    if (certificate.interval <= 0) return;
    certificate.timer->expires_after(std::chrono::nanoseconds{certificate.interval});
    certificate.timer->async_wait([this, &certificate](const ErrorCode &error) {
      if (error || stopped_) return;
      certificate.context->refresh(context_->open_file);
      reload_later(certificate);
    });
  }

  // What has no event of its own: a spare segment that was refused is asked for again, and stress may begin or end
  // where there is no session.
  void tick() {
    tick_->expires_after(std::chrono::seconds{1});
    tick_->async_wait([this](const ErrorCode &error) {
      if (error || stopped_) return;
      link_->refill();
      server_->look_for_stress();
      tick();
    });
  }

  process::RoleContext *context_ = nullptr;
  std::unique_ptr<RoutePolicy> policy_;
  std::unique_ptr<SharedCensus> census_;
  std::unique_ptr<QueueLink> link_;
  std::unique_ptr<spool::Writer> writer_;
  host::Running running_;
  host::Commands commands_;
  host::SubmitLink submissions_;            // to the router; before all that runs plugins
  std::unique_ptr<host::StoreSet> stores_;  // null: none is configured
  std::unique_ptr<io::Dns> dns_;
  std::unique_ptr<host::TableSet> tables_;  // null: none has a say
  std::unique_ptr<TablePolicy> table_policy_;
  std::unique_ptr<Filters> filters_;
  std::unique_ptr<Authenticators> authenticators_;
  std::unique_ptr<host::Watchdog> watchdog_;
  std::unique_ptr<Recorder> recorder_;       // null: no session is recorded
  std::map<std::string, Service> services_;  // nodes do not move: sessions refer to them
  std::map<std::pair<std::string, std::string>, Certificate> certificates_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<asio::steady_timer> tick_, cut_, sessions_end_;
  bool stopped_ = false;
};

}  // namespace

std::unique_ptr<process::Role> make_role() { return std::make_unique<IngressRole>(); }

}  // namespace mansio::ingress
