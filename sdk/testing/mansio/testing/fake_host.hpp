// FakeHost: a host for unit tests of plugins; no daemon is needed.
//
//   FakeHost host{mansio_plugin_entry_1(), {{"directory", dir}}};
//   const auto op = host.deliver({.sender = "a@example.com", .recipients = {{"b@example.com"}}, .content = "..."});
//   host.run_until([&] { return host.completed(op); });
//   EXPECT_EQ(host.result(op).recipients.at(0).status, MANSIO_OK);
//
//   FakeHost host{mansio_plugin_entry_1(), {{"path", file}}};
//   EXPECT_EQ(host.lookup("alice").values, std::vector<std::string>{"bob"});
//
//   FakeHost host{mansio_plugin_entry_1(), {{"path", socket}}};
//   EXPECT_EQ(host.authenticate({.mechanism = "PLAIN", .response = plain}).status, MANSIO_OK);
//
// Numbers: fake_numbers.hpp. Filters and policies: fake_filter.hpp. Plugins that are told of events: fake_event.hpp.
// Stores: fake_store.hpp. Rates: lease({.want = 10}).values.at(0) is how many were given. What a plugin submits is in
// `submitted`. command("release", {"ID"}) calls a command as an operator does.
//
// It records what the plugin says, runs its watches and timers in a poll() loop on the test's thread, answers DNS
// queries with what the test put in `dns` and lookups with `tables`, calls a blocking plugin on threads, and keeps
// messages in memfds. What would be a fault of the plugin in a real host (a second completion, a recipient that is not
// there) is listed in `faults`. The plugin goes before the host.
//
// With the fact "virtual_clock" (nanoseconds since 1970) time begins there and is the test's: it stands still while a
// plugin runs, leaps to the next timer when nothing else is to be done, and goes on by advance(). While a descriptor is
// watched, and with a blocking plugin, it goes on by itself: what is at the other end knows no other time than the
// world's. Threads of the plugin's own are not waited for.
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "mansio/draft/auth.h"
#include "mansio/plugin.hpp"
#include "mansio/rate.hpp"
#include "mansio/testing/fake_event.hpp"
#include "mansio/testing/fake_filter.hpp"
#include "mansio/testing/fake_numbers.hpp"
#include "mansio/testing/fake_pool.hpp"
#include "mansio/testing/fake_records.hpp"
#include "mansio/testing/fake_store.hpp"
#include "mansio/testing/fake_submit.hpp"

namespace mansio::testing {

class FakeHost {
 public:
  using Options = std::map<std::string, std::string>;

  // Options as a user writes them; those not given take the plugin's defaults. Throws when create() fails.
  // Hosts that are given the same numbers are processes of one instance.
  explicit FakeHost(const mansio_plugin *plugin, const Options &options = {}, Options facts = {},
                    std::shared_ptr<FakeNumbers> numbers = std::make_shared<FakeNumbers>())
      : FakeHost(plugin, options, std::move(facts), std::move(numbers), NotYet{}) {
    const auto status = plugin_->create(&host_, &self_);
    // Delegation is complete, so the destructor runs.
    if (status != MANSIO_OK) throw std::runtime_error{"create() answered " + std::to_string(status) + ": " + log};
    transport_ = static_cast<const mansio_transport *>(plugin_->get(self_, "mansio.transport/1"));
    lookup_ = static_cast<const mansio_lookup *>(plugin_->get(self_, "mansio.lookup/1"));
    filter_ = static_cast<const mansio_filter *>(plugin_->get(self_, "mansio.filter/1~draft"));
    auth_ = static_cast<const mansio_auth *>(plugin_->get(self_, "mansio.auth/1~draft"));
    policy_ = static_cast<const mansio_policy *>(plugin_->get(self_, "mansio.policy/1~draft"));
    // One that is both is a filter, unless the fact "kind" says otherwise.
    if (const auto kind = facts_.find("kind"); kind != facts_.end() && kind->second == "policy") filter_ = nullptr;
    is_policy_ = filter_ == nullptr;
    if (is_policy_) filter_ = policy_;
    events_ = static_cast<const mansio_event_sink *>(plugin_->get(self_, "mansio.event/1~draft"));
    rate_ = static_cast<const mansio_rate *>(plugin_->get(self_, "mansio.rate/1~draft"));
    store_ = static_cast<const mansio_store *>(plugin_->get(self_, "mansio.store/1~draft"));
    if (plugin_->threading == MANSIO_BLOCKING) pool_.emplace(plugin_->max_concurrency ? plugin_->max_concurrency : 8);
    started_ = true;
  }
  // What check() reports of these options, "OPTION TEXT", a line each.
  static std::string check(const mansio_plugin *plugin, const Options &options = {}, Options facts = {}) {
    FakeHost host{plugin, options, std::move(facts), std::make_shared<FakeNumbers>(), NotYet{}};
    if (plugin->check) plugin->check(&host.host_);
    return host.log;
  }
  ~FakeHost() {
    stop();
    for (const auto &[id, op] : ops_) ::close(op.fd);
    ::close(wake_);
    std::error_code ignored;
    if (!own_state_.empty()) std::filesystem::remove_all(own_state_, ignored);
  }
  FakeHost(const FakeHost &) = delete;
  FakeHost &operator=(const FakeHost &) = delete;

  // destroy(): before what the plugin uses goes away. Called by the destructor otherwise.
  void stop() {
    if (!self_) return;
    {
      const std::lock_guard lock{mutex_};
      for (auto &[id, op] : ops_) op.over = true;
    }
    if (pool_) pool_->stop();
    plugin_->destroy(std::exchange(self_, nullptr));
    const std::lock_guard lock{mutex_};
    posts_.clear();  // what it asked for is answered no more
  }

  std::uint64_t deliver(const FakeMail &mail) {
    if (!transport_) throw std::logic_error{"the plugin is no transport"};
    const auto op = open(mail.content, mail.recipients.size());
    call([this, op, mail, deadline = now() + mail.time_limit.count()] {
      std::vector<mansio_recipient> recipients;
      recipients.reserve(mail.recipients.size());
      for (const auto &r : mail.recipients)
        recipients.push_back({sizeof(mansio_recipient), r.notify, plugin::str(r.address), plugin::str(r.original),
                              plugin::str(r.orcpt)});
      std::vector<mansio_pair> metadata;
      metadata.reserve(mail.metadata.size());
      for (const auto &[name, value] : mail.metadata) metadata.push_back({plugin::str(name), plugin::str(value)});
      mansio_delivery d{};
      d.size = sizeof d;
      d.flags = mail.flags;
      d.queue_id = plugin::str("0123456789ABC");
      d.sender = plugin::str(mail.sender);
      d.nexthop = plugin::str(mail.nexthop);
      d.recipients = recipients.data();
      d.n_recipients = recipients.size();
      d.recipient_stride = sizeof(mansio_recipient);
      d.length = mail.content.size();
      d.ret = mail.ret;
      d.envid = plugin::str(mail.envid);
      d.client_address = plugin::str(mail.client_address);
      d.client_name = plugin::str(mail.client_name);
      d.client_helo = plugin::str(mail.client_helo);
      d.source_pool = plugin::str(mail.source_pool);
      d.tls_policy = plugin::str(mail.tls_policy);
      d.metadata = metadata.data();
      d.n_metadata = metadata.size();
      d.arrival =
          is_virtual() ? now() : std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
      d.deadline = deadline;
      d.origin_source = mail.origin.source;
      d.origin_port = mail.origin.port;
      d.origin_address = plugin::str(mail.origin.address);
      d.origin_name = plugin::str(mail.origin.name);
      d.origin_helo = plugin::str(mail.origin.helo);
      d.origin_protocol = plugin::str(mail.origin.protocol);
      d.origin_ident = plugin::str(mail.origin.ident);
      d.attempts = mail.attempts;
      d.sasl_method = plugin::str(mail.sasl.method);
      d.sasl_username = plugin::str(mail.sasl.username);
      d.sasl_sender = plugin::str(mail.sasl.sender);
      transport_->start(self_, mansio_op{op}, &d);
    });
    return op;
  }
  // Begins a lookup. `table` is what the instance would be called.
  std::uint64_t look_up(const std::string &key, const std::string &table = "test",
                        std::chrono::nanoseconds time_limit = std::chrono::hours{1}) {
    if (!lookup_) throw std::logic_error{"the plugin is no lookup"};
    const auto op = open("", 0);
    call([this, op, key, table, deadline = now() + time_limit.count()] {
      const mansio_lookup_request request{sizeof request, 0, plugin::str(table), plugin::str(key), deadline};
      lookup_->start(self_, mansio_op{op}, &request);
    });
    return op;
  }
  // Asks a rate plugin.
  std::uint64_t ask(const FakeLease &lease) {
    if (!rate_) throw std::logic_error{"the plugin owns no rates"};
    const auto op = open("", 0);
    call([this, op, lease, deadline = now() + lease.time_limit.count()] {
      mansio_rate_request r{};
      r.size = sizeof r;
      r.want = lease.want;
      r.limit = plugin::str(lease.limit);
      r.key = plugin::str(lease.key);
      r.per_second = lease.per_second;
      r.burst = lease.burst;
      r.deadline = deadline;
      rate_->lease(self_, mansio_op{op}, &r);
    });
    return op;
  }
  // ask() and its answer.
  FakeReply lease(const FakeLease &lease) { return finish(ask(lease)); }
  bool lends_places() const { return rate_ && rate_->hold; }
  // Tells a rate plugin what places are held and wanted.
  std::uint64_t ask_places(const FakePlaces &places) {
    if (!lends_places()) throw std::logic_error{"the plugin owns no places"};
    const auto op = open("", 0);
    call([this, op, places, deadline = now() + places.time_limit.count()] {
      mansio_rate_places r{};
      r.size = sizeof r;
      r.held = places.held;
      r.want = places.want;
      r.capacity = places.capacity;
      r.limit = plugin::str(places.limit);
      r.key = plugin::str(places.key);
      r.holder = plugin::str(places.holder);
      r.number = places.number;
      r.rest = places.rest.count();
      r.deadline = deadline;
      rate_->hold(self_, mansio_op{op}, &r);
    });
    return op;
  }
  FakeReply hold(const FakePlaces &places) { return finish(ask_places(places)); }
  // Returns when the plugin has been told.
  void give_back(const std::string &limit, const std::string &key, std::uint32_t unused) {
    if (!rate_ || !rate_->give_back) return;
    const auto told = std::make_shared<std::atomic<bool>>(false);
    call([this, limit, key, unused, told] {
      rate_->give_back(self_, plugin::str(limit), plugin::str(key), unused);
      *told = true;
      wake();
    });
    if (!run_until([&] { return told->load(); })) throw std::runtime_error{"give_back() never returned"};
  }
  // Begins a commit to a store.
  std::uint64_t begin_commit(const std::string &id, const std::string &content,
                             std::chrono::nanoseconds time_limit = std::chrono::hours{1}) {
    if (!store_) throw std::logic_error{"the plugin is no store"};
    const auto op = open(content, 0);
    call([this, op, id, length = content.size(), deadline = now() + time_limit.count()] {
      mansio::testing::ask(*store_, self_, mansio_op{op}, id, length, deadline);
    });
    return op;
  }
  // Each with its answer.
  FakeReply commit(const std::string &id, const std::string &content) { return finish(begin_commit(id, content)); }
  FakeReply outcome(const FakeOutcome &told) { return finish(ask_store(told)); }
  FakeReply read(const FakeRead &read) { return finish(ask_store(read)); }
  FakeReply scan(const FakeScan &scan = {}) { return finish(ask_store(scan)); }
  bool keeps_mail() const { return store_ != nullptr; }
  // Begins a stage of a filter or policy.
  std::uint64_t show(const FakeStage &stage) {
    const auto *const asked = of_queue(stage.stage) ? policy_ : filter_;
    if (!asked) throw std::logic_error{"the plugin is no policy, nor, at stages of sessions, a filter"};
    const auto op = open(stage.content, 0);
    {
      const std::lock_guard lock{mutex_};
      auto &work = ops_.at(op).work.emplace();
      work.stage = stage;
      work.filter = !is_policy_ && !of_queue(stage.stage);
    }
    call([this, op, asked, stage, deadline = now() + stage.time_limit.count()] {
      std::vector<mansio_str> arguments;
      for (const auto &argument : stage.arguments) arguments.push_back(plugin::str(argument));
      std::vector<mansio_pair> macros;
      for (const auto &[name, value] : stage.macros) macros.push_back({plugin::str(name), plugin::str(value)});
      mansio_stage s{};
      s.size = sizeof s;
      s.stage = stage.stage;
      s.session = plugin::str(stage.session);
      s.queue_id = plugin::str(stage.queue_id);
      s.arguments = arguments.data();
      s.n_arguments = arguments.size();
      s.macros = macros.data();
      s.n_macros = macros.size();
      s.length = stage.content.size();
      s.deadline = deadline;
      asked->start(self_, mansio_op{op}, &s);
    });
    return op;
  }
  // show() and wait for its completion.
  FakeResult run(const FakeStage &stage) {
    const auto op = show(stage);
    finish(op);
    return take(op);
  }
  // Calls a command of the plugin's, as an operator does.
  std::uint64_t begin_command(const std::string &name, const std::vector<std::string> &arguments = {}) {
    const auto known = commands_.find(name);
    if (known == commands_.end()) throw std::logic_error{"the plugin has no command " + name};
    const auto op = open("", 0);
    std::vector<mansio_str> borrowed;
    borrowed.reserve(arguments.size());
    for (const auto &argument : arguments) borrowed.push_back(plugin::str(argument));
    known->second.run(known->second.arg, mansio_op{op}, borrowed.data(), borrowed.size());
    return op;
  }
  // begin_command() and its answer.
  FakeReply command(const std::string &name, const std::vector<std::string> &arguments = {}) {
    return finish(begin_command(name, arguments));
  }
  std::map<std::string, std::string> commands() const {  // their help
    std::map<std::string, std::string> all;
    for (const auto &[name, one] : commands_) all[name] = one.help;
    return all;
  }
  // Begins a step of an exchange.
  std::uint64_t begin_step(const FakeAuthStep &step) {
    if (!auth_) throw std::logic_error{"the plugin is no auth"};
    const auto op = open("", 0);
    call([this, op, step, deadline = now() + step.time_limit.count()] {
      mansio_auth_step s{};
      s.size = sizeof s;
      s.step = step.step;
      s.exchange = step.exchange;
      s.mechanism = plugin::str(step.mechanism);
      if (step.response) s.response = plugin::str(*step.response);
      s.client_address = plugin::str(step.client_address);
      s.client_helo = plugin::str(step.client_helo);
      s.tls = plugin::str(step.tls);
      s.deadline = deadline;
      auth_->start(self_, mansio_op{op}, &s);
    });
    return op;
  }
  // begin_step() and wait for its completion.
  FakeReply authenticate(const FakeAuthStep &step) { return finish(begin_step(step)); }
  std::string mechanisms(bool clear) const {
    return auth_ ? plugin::string(auth_->mechanisms(self_, clear ? 1 : 0)) : std::string{};
  }
  void forget_exchange(std::uint64_t exchange) {
    if (auth_ && auth_->forget) auth_->forget(self_, exchange);
  }
  bool owns_rates() const { return rate_ != nullptr; }
  bool hears_events() const { return events_ != nullptr; }
  bool watches_sessions() const { return filter_ != nullptr; }
  bool wants(std::uint32_t stage) const {
    const auto *const asked = of_queue(stage) ? policy_ : filter_;
    return asked && (asked->stages(self_) >> stage & 1) != 0;
  }
  void abort(const std::string &session, const std::string &queue_id) {
    if (filter_ && filter_->abort) filter_->abort(self_, plugin::str(session), plugin::str(queue_id));
  }

  // Tells an event plugin; false: it does not want to hear of that.
  bool tell(const FakeEvent &event) {
    if (!events_) throw std::logic_error{"the plugin is not told of events"};
    return mansio::testing::tell(*events_, self_, event);
  }

  // look_up() and its answer.
  FakeReply lookup(const std::string &key, const std::string &table = "test") {
    const auto op = look_up(key, table);
    finish(op);
    return *take(op).last;
  }
  // Waits for the last word of an operation.
  FakeReply finish(std::uint64_t op) {
    if (!run_until([&] { return completed(op); })) throw std::runtime_error{"the operation never completed"};
    return *result(op).last;
  }

  // As the host does at a deadline or when nobody wants the answer any more.
  void cancel(std::uint64_t op) {
    {
      const std::lock_guard lock{mutex_};
      ops_.at(op).alive = false;
    }
    const auto run = transport_ ? transport_->cancel
                     : lookup_  ? lookup_->cancel
                     : rate_    ? rate_->cancel
                     : store_   ? store_->cancel
                     : filter_  ? filter_->cancel
                                : auth_->cancel;
    if (run) run(self_, mansio_op{op});
  }

  bool completed(std::uint64_t op) const {
    const std::lock_guard lock{mutex_};
    return ops_.at(op).result.last.has_value();
  }
  FakeResult result(std::uint64_t op) const {
    const std::lock_guard lock{mutex_};
    return ops_.at(op).result;
  }
  // The same of one that has completed and that nobody asks for again: its message goes.
  FakeResult take(std::uint64_t op) {
    const std::lock_guard lock{mutex_};
    auto result = std::move(ops_.at(op).result);
    ::close(ops_.at(op).fd);
    ops_.erase(op);
    return result;
  }

  // Runs watches, timers and posts until `done()`; false when that takes longer than a test may.
  template <class P>
  bool run_until(P done, std::chrono::milliseconds limit = std::chrono::seconds{20}) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      turn(std::chrono::milliseconds{100});
    }
    return true;
  }
  // deliver() and wait for its completion.
  FakeResult run(const FakeMail &mail) {
    const auto op = deliver(mail);
    finish(op);
    return result(op);
  }
  // With a virtual clock: lets so much time pass, and runs what falls due on the way.
  void advance(std::chrono::nanoseconds by) {
    if (!is_virtual()) throw std::logic_error{"the clock is the world's"};
    const auto end = now() + by.count();
    while (true) {
      while (posted()) turn(std::chrono::milliseconds{0});
      if (timers_.empty() || timers_.begin()->first.first > end) break;
      leap(timers_.begin()->first.first);
      turn(std::chrono::milliseconds{0});
    }
    leap(end);
  }
  // When the plugin wants to be woken next, if it does, and whether it waits for a descriptor.
  std::optional<std::int64_t> next_timer() const {
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->first.first;
  }
  bool watches_descriptors() const { return !watches_.empty(); }
  // The host's clock: monotonic, or virtual.
  std::int64_t now() const {
    const auto at = virtual_now_.load();
    return at != 0 ? at : steady_now();
  }
  std::int64_t metric(const std::string &name) const {  // 0 when there is none
    const std::lock_guard lock{mutex_};
    const auto i = metrics_.find(name);
    return i == metrics_.end() ? 0 : values_[i->second - 1];
  }

  const mansio_host *raw() const { return &host_; }

  std::map<std::pair<std::string, std::uint16_t>, FakeDnsAnswer> dns;  // names not here: NOT_FOUND
  std::vector<std::pair<std::string, std::uint16_t>> dns_queries;
  std::map<std::pair<std::string, std::string>, FakeTableAnswer> tables;  // {table, key}; those not here: NOT_FOUND
  // Instead of NOT_FOUND, when they are set: what is not in `dns`, and (table, key) that is not in `tables`.
  std::function<FakeDnsAnswer(const std::string &name, std::uint16_t type)> other_dns;
  std::function<FakeTableAnswer(const std::string &table, const std::string &key)> other_tables;
  std::vector<FakeSubmission> submitted;                                  // what was taken
  std::function<FakeSubmitAnswer(const FakeSubmission &)> submit_answer;  // unset: each is taken
  std::vector<FakePermits> permits_asked;                                 // all questions for permits
  std::function<FakeGranted(const FakePermits &)> permits_answer;         // unset: all are granted
  std::function<const void *(std::string_view iface)> other_services;     // that hosts do not have
  std::string log;                  // a line for each call, and for each problem that was reported
  std::vector<std::string> faults;  // what a real host would count against the plugin

 private:
  static bool of_queue(std::uint32_t stage) { return stage >= MANSIO_STAGE_ROUTE && stage <= MANSIO_STAGE_BOUNCE; }

  struct NotYet {};
  FakeHost(const mansio_plugin *plugin, const Options &options, Options facts, std::shared_ptr<FakeNumbers> numbers,
           NotYet)
      : plugin_(plugin), facts_(std::move(facts)), numbers_(std::move(numbers)) {
    facts_.try_emplace("instance", "test");
    facts_.try_emplace("myhostname", "mail.example.test");
    facts_.try_emplace("self_addresses", "");
    if (const auto begin = facts_.find("virtual_clock"); begin != facts_.end()) {
      const auto &text = begin->second;
      std::int64_t ns = 0;
      if (std::from_chars(text.data(), text.data() + text.size(), ns).ec != std::errc{} || ns <= 0)
        throw std::invalid_argument{"the fact virtual_clock is no time: " + text};
      virtual_now_ = ns;
    }
    if ((plugin->needs & (MANSIO_NEEDS_STATE | MANSIO_TAKES_STATE)) != 0 && !facts_.contains("state_directory")) {
      auto pattern = (std::filesystem::temp_directory_path() / "mansio-state.XXXXXX").string();
      if (!::mkdtemp(pattern.data())) throw std::runtime_error{"cannot make " + pattern};
      facts_["state_directory"] = own_state_ = pattern;
    }
    host_ = {sizeof host_, MANSIO_ABI_MINOR, this,
             [](const mansio_host *h, const char *iface) noexcept -> const void * {
               const auto *const known = service(iface);
               return known || !of(h).other_services ? known : of(h).other_services(iface);
             }};
    for (const auto *o = plugin->options; o && o->name; ++o) {
      const auto given = options.find(o->name);
      if (given == options.end() && (o->flags & MANSIO_OPT_REQUIRED))
        throw std::invalid_argument{std::string{"option not given: "} + o->name};
      const std::string text = given != options.end() ? given->second : o->fallback ? o->fallback : "";
      options_[o->name] = canonical_option(o->type, text);
    }
    for (const auto &[name, value] : options)
      if (!options_.contains(name)) throw std::invalid_argument{"no such option: " + name};
    wake_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  }

  struct Op {
    int fd = -1;
    std::size_t length = 0, recipients = 0;
    bool alive = true, over = false;
    std::optional<FakeWork> work;  // of a filter
    FakeResult result;
  };
  struct Watch {
    int events;
    mansio_ready_fn ready;
    void *arg;
  };
  using Job = std::function<void()>;

  // Plugin code of start(): where its threading wants it.
  void call(Job f) {
    if (pool_)
      pool_->run(std::move(f));
    else
      f();
  }
  static FakeHost &of(const mansio_host *host) { return *static_cast<FakeHost *>(host->ctx); }

  template <class Request>
  std::uint64_t ask_store(const Request &request) {
    if (!store_) throw std::logic_error{"the plugin is no store"};
    const auto op = open("", 0);
    call([this, op, request, deadline = now() + request.time_limit.count()] {
      mansio::testing::ask(*store_, self_, mansio_op{op}, request, deadline);
    });
    return op;
  }

  std::uint64_t open(const std::string &content, std::size_t recipients) {
    Op op;
    op.fd = ::memfd_create("message", MFD_CLOEXEC);
    for (std::size_t at = 0; at < content.size();) {
      const auto n = ::write(op.fd, content.data() + at, content.size() - at);
      if (n <= 0) throw std::runtime_error{"memfd"};
      at += static_cast<std::size_t>(n);
    }
    op.length = content.size();
    op.recipients = recipients;
    const std::lock_guard lock{mutex_};
    ops_.emplace(++last_op_, std::move(op));
    return last_op_;
  }

  void answer(std::uint64_t id, std::int64_t index, const mansio_reply *reply) {
    const std::lock_guard lock{mutex_};
    const auto i = ops_.find(id);
    if (i == ops_.end() || i->second.over) return faults.push_back("answered an operation that is over");
    auto &op = i->second;
    if (!is_whole(reply)) faults.push_back("answered with a reply that is shorter than any was");
    if (index >= 0) {
      if (static_cast<std::size_t>(index) >= op.recipients) return faults.push_back("no such recipient");
      if (!op.result.recipients.emplace(index, copy_reply(reply)).second) faults.push_back("recipient reported twice");
      return;
    }
    op.over = true;
    op.alive = false;
    op.result.last = copy_reply(reply);
    if (op.work) {
      op.result.progress = op.work->progress;
      if (op.result.last->status == MANSIO_OK) {
        op.result.edits = std::move(op.work->edits);
        op.result.session_meta = std::move(op.work->session_meta);
        op.result.message_meta = std::move(op.work->message_meta);
      }
    }
    for (std::size_t r = 0; r < op.recipients; ++r) op.result.recipients.emplace(r, *op.result.last);
    wake();
  }

  bool posted() const {
    const std::lock_guard lock{mutex_};
    return !posts_.empty();
  }
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(wake_, &one, sizeof one);
  }

  static std::int64_t steady_now() {
    return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
  }
  bool is_virtual() const { return virtual_now_ != 0; }
  void leap(std::int64_t to) { virtual_now_ = std::max(virtual_now_.load(), to); }  // never back

  // One round of the loop.
  void turn(std::chrono::milliseconds wait) {
    std::vector<pollfd> fds{{wake_, POLLIN, 0}};
    for (const auto &[fd, watches] : watches_) {
      short events = 0;
      for (const auto &w : watches)
        events = static_cast<short>(events | (w.events & MANSIO_READABLE ? POLLIN : 0) |
                                    (w.events & MANSIO_WRITABLE ? POLLOUT : 0));
      fds.push_back({fd, events, 0});
    }
    const bool leaps = is_virtual() && watches_.empty() && !pool_;
    if (!timers_.empty())
      wait = std::clamp(std::chrono::milliseconds{leaps ? 0 : (timers_.begin()->first.first - now()) / 1'000'000 + 1},
                        std::chrono::milliseconds{0}, wait);
    {
      const std::lock_guard lock{mutex_};
      if (!posts_.empty()) wait = std::chrono::milliseconds{0};
    }
    const auto before = steady_now();
    const auto happened = ::poll(fds.data(), fds.size(), static_cast<int>(wait.count()));
    if (is_virtual() && !leaps) virtual_now_ += steady_now() - before;
    std::uint64_t ignored = 0;
    [[maybe_unused]] const auto n = ::read(wake_, &ignored, sizeof ignored);

    std::vector<Job> posts;
    {
      const std::lock_guard lock{mutex_};
      posts.swap(posts_);
    }
    if (leaps && happened == 0 && posts.empty() && !timers_.empty()) leap(timers_.begin()->first.first);
    for (const auto &post : posts) post();
    for (std::size_t i = 1; i < fds.size(); ++i) ready(fds[i]);
    for (const auto at = now(); !timers_.empty() && timers_.begin()->first.first <= at;) {
      const auto timer = timers_.extract(timers_.begin());
      timer.mapped()();
    }
  }
  void ready(const pollfd &p) {
    for (const int which : {MANSIO_READABLE, MANSIO_WRITABLE}) {
      const bool is = (p.revents & ((which == MANSIO_READABLE ? POLLIN : POLLOUT) | POLLERR | POLLHUP | POLLNVAL)) != 0;
      if (!is) continue;
      const auto entry = watches_.find(p.fd);  // looked up anew: callbacks watch and forget
      if (entry == watches_.end()) return;
      auto &all = entry->second;
      const auto w = std::find_if(all.begin(), all.end(), [&](const Watch &x) { return (x.events & which) != 0; });
      if (w == all.end()) continue;
      const auto found = *w;
      all.erase(w);
      if (all.empty()) watches_.erase(entry);
      found.ready(found.arg, which);
    }
  }

  static const void *service(const char *iface) {
    static constexpr mansio_host_log kLog{[](const mansio_host *h, int, mansio_op, mansio_str text) noexcept {
      const std::lock_guard lock{of(h).mutex_};
      of(h).log += plugin::string(text) + "\n";
    }};
    static constexpr auto find = [](const Options &values, const char *name) {
      const auto i = values.find(name);
      return i == values.end() ? mansio_str{nullptr, 0} : plugin::str(i->second);
    };
    static constexpr mansio_host_config kConfig{
        [](const mansio_host *h, const char *name) noexcept { return find(of(h).options_, name); },
        [](const mansio_host *h, const char *name) noexcept { return find(of(h).facts_, name); }};
    static constexpr mansio_host_problem kProblem{
        [](const mansio_host *h, mansio_str option, mansio_str text) noexcept {
          of(h).log += plugin::string(option) + ' ' + plugin::string(text) + "\n";
        }};
    static constexpr mansio_host_op kOp{
        [](const mansio_host *h, mansio_op op, std::uint32_t index, const mansio_reply *r) noexcept {
          of(h).answer(op.id, index, r);
        },
        [](const mansio_host *h, mansio_op op, const mansio_reply *r) noexcept { of(h).answer(op.id, -1, r); },
        [](const mansio_host *h, mansio_op op) noexcept {
          const std::lock_guard lock{of(h).mutex_};
          const auto i = of(h).ops_.find(op.id);
          return i != of(h).ops_.end() && i->second.alive && !i->second.over ? 1 : 0;
        }};
    static constexpr mansio_host_reactor kReactor{
        [](const mansio_host *h, int fd, int events, mansio_ready_fn ready, void *arg) noexcept -> mansio_status {
          auto &all = of(h).watches_[fd];
          for (const auto &w : all)
            if (w.events & events) return MANSIO_FAIL;
          all.push_back({events, ready, arg});
          return MANSIO_OK;
        },
        [](const mansio_host *h, int fd) noexcept { of(h).watches_.erase(fd); },
        [](const mansio_host *h, std::int64_t after, mansio_timer_fn fire, void *arg) noexcept {
          auto &self = of(h);
          const auto id = ++self.last_timer_;
          self.timers_.emplace(std::pair{self.now() + after, id}, [fire, arg] { fire(arg); });
          return id;
        },
        [](const mansio_host *h, std::uint64_t timer) noexcept {
          std::erase_if(of(h).timers_, [&](const auto &t) { return t.first.second == timer; });
        },
        [](const mansio_host *h, mansio_timer_fn run, void *arg) noexcept {
          const std::lock_guard lock{of(h).mutex_};
          of(h).posts_.push_back([run, arg] { run(arg); });
          of(h).wake();
        },
        [](const mansio_host *h) noexcept { return of(h).now(); }};
    static constexpr mansio_host_dns kDns{[](const mansio_host *h, mansio_str name, std::uint16_t type,
                                             mansio_dns_fn done, void *arg) noexcept {
      auto &self = of(h);
      std::pair question{plugin::string(name), type};
      const std::lock_guard lock{self.mutex_};
      self.dns_queries.push_back(question);
      const auto known = self.dns.find(question);
      FakeDnsAnswer answer{MANSIO_NOT_FOUND, {}, "no such name: " + question.first};
      if (known != self.dns.end())
        answer = known->second;
      else if (self.other_dns)
        answer = self.other_dns(question.first, type);
      self.posts_.push_back([answer, done, arg] {
        std::vector<mansio_dns_record> records;
        records.reserve(answer.records.size());
        for (const auto &r : answer.records)
          records.push_back({sizeof(mansio_dns_record), r.preference, plugin::str(r.data)});
        done(arg, answer.status, plugin::str(answer.text), records.data(), records.size(), sizeof(mansio_dns_record));
      });
      self.wake();
    }};
    static constexpr mansio_host_lookup kLookup{
        [](const mansio_host *h, mansio_str table, mansio_str key, mansio_lookup_fn done, void *arg) noexcept {
          auto &self = of(h);
          const std::lock_guard lock{self.mutex_};
          const auto known = self.tables.find({plugin::string(table), plugin::string(key)});
          FakeTableAnswer answer{MANSIO_NOT_FOUND};
          if (known != self.tables.end())
            answer = known->second;
          else if (self.other_tables)
            answer = self.other_tables(plugin::string(table), plugin::string(key));
          self.posts_.push_back([answer, done, arg] {
            plugin::Reply reply{answer.status, {}, answer.text};
            for (const auto &value : answer.values) reply.value(value);
            reply.with_abi([&](const mansio_reply &r) { done(arg, &r); });
          });
          self.wake();
        }};
    static constexpr mansio_host_submit kSubmit{
        [](const mansio_host *h, const mansio_submission *mail, mansio_submit_fn done, void *arg) noexcept {
          auto &self = of(h);
          auto copy = copy_submission(mail);
          const std::lock_guard lock{self.mutex_};
          FakeSubmitAnswer answer;
          if (copy.recipients.empty())
            answer = {MANSIO_FAIL, "no recipient"};
          else if (self.submit_answer)
            answer = self.submit_answer(copy);
          if (answer.status == MANSIO_OK) self.submitted.push_back(std::move(copy));
          self.posts_.push_back([answer, done, arg] { done(arg, answer.status, plugin::str(answer.text)); });
          self.wake();
        }};
    static constexpr mansio_host_rate kRate{[](const mansio_host *h, mansio_str limit, mansio_str key,
                                               std::uint32_t want, mansio_rate_fn done, void *arg) noexcept {
      auto &self = of(h);
      const FakePermits asked{plugin::string(limit), plugin::string(key), want};
      const std::lock_guard lock{self.mutex_};
      self.permits_asked.push_back(asked);
      auto answer = self.permits_answer ? self.permits_answer(asked) : FakeGranted{want, 0};
      if (want == 0) answer = {0, -1};
      answer.granted = std::min(answer.granted, want);
      self.posts_.push_back([answer, done, arg] { done(arg, answer.granted, answer.retry_ns); });
      self.wake();
    }};
    static constexpr mansio_host_control kControl{[](const mansio_host *h, const char *name, const char *help,
                                                     mansio_command_fn run, void *arg) noexcept -> mansio_status {
      auto &self = of(h);
      const std::string_view wanted{name ? name : ""};
      const bool is_name = !wanted.empty() && wanted.size() <= 64 && wanted.front() != '-' &&
                           wanted.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == wanted.npos;
      if (self.started_ || !is_name || !run || self.commands_.size() >= 100) return MANSIO_FAIL;
      return self.commands_.emplace(wanted, Command{help ? help : "", run, arg}).second ? MANSIO_OK : MANSIO_FAIL;
    }};
    static constexpr mansio_host_metrics kMetrics{
        [](const mansio_host *h, std::uint32_t, const char *name, const char *) noexcept -> std::uint32_t {
          auto &self = of(h);
          const std::lock_guard lock{self.mutex_};
          const auto id = static_cast<std::uint32_t>(self.values_.size() + 1);
          if (self.started_ || !self.metrics_.emplace(name, id).second) {
            self.faults.push_back(std::string{"defined a metric too late or twice: "} + name);
            return 0;
          }
          self.values_.push_back(0);
          return id;
        },
        [](const mansio_host *h, std::uint32_t metric, std::int64_t by) noexcept {
          const std::lock_guard lock{of(h).mutex_};
          if (metric > 0 && metric <= of(h).values_.size()) of(h).values_[metric - 1] += by;
        },
        [](const mansio_host *h, std::uint32_t metric, std::int64_t value) noexcept {
          const std::lock_guard lock{of(h).mutex_};
          if (metric > 0 && metric <= of(h).values_.size()) of(h).values_[metric - 1] = value;
        }};
    static constexpr mansio_host_message kMessage{
        [](const mansio_host *h, mansio_op op) noexcept -> std::uint64_t {
          const auto m = of(h).message(op);
          return m ? m->length : 0;
        },
        [](const mansio_host *h, mansio_op op, std::uint64_t offset, char *to, std::size_t n) noexcept -> std::int64_t {
          const auto m = of(h).message(op);
          return m ? ::pread(m->fd, to, n, static_cast<off_t>(offset)) : -1;
        },
        [](const mansio_host *h, mansio_op op, mansio_slice *to, std::size_t max,
           std::size_t stride) noexcept -> std::size_t {
          const auto m = of(h).message(op);
          if (!m || m->length == 0) return 0;
          const std::size_t half = m->length / 2;  // two slices, so that plugins do not count on one
          const mansio_slice both[] = {{sizeof(mansio_slice), m->fd, 0, half},
                                       {sizeof(mansio_slice), m->fd, half, m->length - half}};
          const std::size_t from = half == 0 ? 1 : 0;
          for (std::size_t i = from; i < 2 && i - from < max; ++i)
            std::memcpy(reinterpret_cast<char *>(to) + (i - from) * stride, &both[i], std::min(stride, sizeof both[i]));
          return 2 - from;
        }};
    const std::string_view id{iface};
    if (id == "mansio.host.log/1") return &kLog;
    if (id == "mansio.host.config/1") return &kConfig;
    if (id == "mansio.host.problem/1") return &kProblem;
    if (id == "mansio.host.op/1") return &kOp;
    if (id == "mansio.host.reactor/1") return &kReactor;
    if (id == "mansio.host.dns/1") return &kDns;
    if (id == "mansio.host.lookup/1") return &kLookup;
    if (id == "mansio.host.metrics/1") return &kMetrics;
    if (id == "mansio.host.message/1") return &kMessage;
    if (id == "mansio.host.numbers/1~draft") return &FakeNumberService<FakeHost>::table;
    if (id == "mansio.host.submit/1~draft") return &kSubmit;
    if (id == "mansio.host.control/1~draft") return &kControl;
    if (id == "mansio.host.rate/1~draft") return &kRate;
    return FakeFilterServices<FakeHost>::service(id);
  }
  friend struct FakeFilterServices<FakeHost>;
  friend struct FakeNumberService<FakeHost>;
  template <class F>
  static std::invoke_result_t<F, FakeNumbers &, std::int64_t> with_numbers(const mansio_host *host, F f) {
    const auto now = of(host).now();
    return of(host).numbers_->locked([&](FakeNumbers &numbers) { return f(numbers, now); });
  }
  template <class R, class F>
  static R with_work(const mansio_host *host, mansio_op op, R otherwise, F f) {
    auto &self = of(host);
    const std::lock_guard lock{self.mutex_};
    const auto i = self.ops_.find(op.id);
    return i == self.ops_.end() || i->second.over || !i->second.work ? otherwise : f(*i->second.work);
  }
  struct Message {
    int fd;
    std::size_t length;
  };
  std::optional<Message> message(mansio_op op) const {
    const std::lock_guard lock{mutex_};
    const auto i = ops_.find(op.id);
    if (i == ops_.end() || i->second.over) return std::nullopt;
    return Message{i->second.fd, i->second.length};
  }

  const mansio_plugin *plugin_;
  Options options_, facts_;
  const std::shared_ptr<FakeNumbers> numbers_;
  mansio_host host_{};
  void *self_ = nullptr;
  const mansio_transport *transport_ = nullptr;
  const mansio_lookup *lookup_ = nullptr;
  const mansio_filter *filter_ = nullptr;
  const mansio_policy *policy_ = nullptr;  // the same plugin, if it may be that
  const mansio_rate *rate_ = nullptr;
  const mansio_auth *auth_ = nullptr;
  const mansio_store *store_ = nullptr;
  bool is_policy_ = false;
  const mansio_event_sink *events_ = nullptr;
  std::optional<FakePool> pool_;
  bool started_ = false;  // create() is over
  std::string own_state_;
  int wake_ = -1;
  mutable std::mutex mutex_;  // what plugins may touch from their threads
  std::map<std::uint64_t, Op> ops_;
  std::uint64_t last_op_ = 0;
  std::vector<Job> posts_;
  struct Command {
    std::string help;
    mansio_command_fn run;
    void *arg;
  };
  std::map<std::string, Command> commands_;
  std::map<std::string, std::uint32_t> metrics_;
  std::vector<std::int64_t> values_;
  std::map<int, std::vector<Watch>> watches_;
  std::map<std::pair<std::int64_t, std::uint64_t>, Job> timers_;
  std::uint64_t last_timer_ = 0;
  std::atomic<std::int64_t> virtual_now_ = 0;  // 0: the clock is the world's
};

}  // namespace mansio::testing
