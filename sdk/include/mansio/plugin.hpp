// mansio/plugin.hpp: the C ABI (mansio/abi.h) as C++20, header-only, for plugin authors.
//
// A transport is a class and one macro:
//
//   class Drop {
//    public:
//     static constexpr mansio::plugin::Info info{"transport-drop", "1.0", 0};
//     static constexpr mansio_option options[] = {{"say", MANSIO_OPT_TEXT, 0, "gone", "text of the reply"}, {}};
//     explicit Drop(mansio::plugin::Host host) : host_(host), say_(host.option("say")) {}
//     void start(mansio_op op, mansio::plugin::Delivery) { host_.complete(op, mansio::plugin::sent(say_)); }
//     ...
//   };
//   MANSIO_TRANSPORT_PLUGIN(Drop)
//
// The glue here is the one place where exceptions meet C: a constructor or check that throws BadConfig refuses the
// configuration, an exception out of start() completes the operation with MANSIO_INTERNAL, one out of a callback is
// logged. Everything that is borrowed by the ABI's rules is copied (Delivery, Answer) before your code sees it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/abi.h"
#include "mansio/config.hpp"

namespace mansio::plugin {

// A record as this build knows it: what the other side did not fill in (its `size` is smaller) is zero.
template <class Record>
Record read_record(const void *from) {
  Record to{};
  std::uint32_t size = 0;
  std::memcpy(&size, from, sizeof size);
  std::memcpy(static_cast<void *>(&to), from, std::min<std::size_t>(size, sizeof to));
  return to;
}
// Element `i` of an array of records with a stride.
template <class Record>
Record read_record(const void *array, std::size_t i, std::size_t stride) {
  return read_record<Record>(static_cast<const char *>(array) + i * stride);
}

struct Info {
  const char *name;  // "transport-maildir"
  const char *version;
  std::uint32_t needs;  // MANSIO_NEEDS_*
};

// ---- what start() gets -------------------------------------------------------------------------------------------

struct Recipient {
  std::string address;
  std::string original;  // as the client gave it; "" when the same
  std::string orcpt;     // "rfc822;user@example.com", decoded; "" when not given
  std::uint8_t notify = 0;
};

// mansio_delivery, owned, so that it may outlive start().
struct Delivery {
  std::uint32_t flags = 0;  // MANSIO_MSG_*
  std::string queue_id, sender, nexthop;
  std::vector<Recipient> recipients;
  std::uint64_t length = 0;
  std::uint8_t ret = 0;  // MANSIO_RET_*
  std::string envid, client_address, client_name, client_helo, source_pool;
  std::int64_t arrival = 0;   // wall ns
  std::int64_t deadline = 0;  // monotonic ns

  Delivery() = default;
  explicit Delivery(const mansio_delivery &borrowed) {
    const auto d = read_record<mansio_delivery>(&borrowed);
    flags = d.flags;
    queue_id = view(d.queue_id);
    sender = view(d.sender);
    nexthop = view(d.nexthop);
    recipients.reserve(d.n_recipients);
    for (std::size_t i = 0; i < d.n_recipients; ++i) {
      const auto r = read_record<mansio_recipient>(d.recipients, i, d.recipient_stride);
      recipients.push_back({string(r.address), string(r.original), string(r.orcpt), r.notify});
    }
    length = d.length;
    ret = d.ret;
    envid = view(d.envid);
    client_address = view(d.client_address);
    client_name = view(d.client_name);
    client_helo = view(d.client_helo);
    source_pool = view(d.source_pool);
    arrival = d.arrival;
    deadline = d.deadline;
  }
  bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

// ---- what it answers ---------------------------------------------------------------------------------------------

struct Enhanced {  // RFC 3463
  std::uint16_t cls = 0, subject = 0, detail = 0;
};

// mansio_reply, owned. Setters chain: defer({4, 4, 1}, "connection refused").relay("none").site_failure().
class Reply {
 public:
  explicit Reply(mansio_status status, Enhanced enhanced = {}, std::string text = {})
      : status_(status), enhanced_(enhanced), text_(std::move(text)) {}

  Reply &code(std::uint16_t smtp_code) {
    code_ = smtp_code;
    return *this;
  }
  Reply &enhanced(Enhanced e) {
    enhanced_ = e;
    return *this;
  }
  Reply &text(std::string t) {
    text_ = std::move(t);
    return *this;
  }
  Reply &remote_mta(std::string name) {
    remote_mta_ = std::move(name);
    return *this;
  }
  Reply &relay(std::string shown) {
    relay_ = std::move(shown);
    return *this;
  }
  Reply &tls(std::string shown) {
    tls_ = std::move(shown);
    return *this;
  }
  Reply &times(std::int64_t connect_ns, std::int64_t transmit_ns) {
    connect_ns_ = connect_ns;
    transmit_ns_ = transmit_ns;
    return *this;
  }
  Reply &connection_use(std::uint32_t use) {
    use_ = use;
    return *this;
  }
  Reply &flag(std::uint32_t reply_flag) {
    flags_ |= reply_flag;
    return *this;
  }
  Reply &destination(std::string idle) {  // of complete(): where a connection stays open
    destination_ = std::move(idle);
    return *this;
  }
  Reply &site_failure() { return flag(MANSIO_REPLY_SITE_FAILURE); }

  mansio_status status() const { return status_; }
  std::uint16_t code() const { return code_; }
  Enhanced enhanced() const { return enhanced_; }
  const std::string &text() const { return text_; }

  mansio_reply abi() const {  // borrows from *this
    mansio_reply r{};
    r.size = sizeof r;
    r.status = status_;
    r.smtp_code = code_;
    r.enhanced[0] = enhanced_.cls;
    r.enhanced[1] = enhanced_.subject;
    r.enhanced[2] = enhanced_.detail;
    r.text = str(text_);
    r.remote_mta = str(remote_mta_);
    r.relay = str(relay_);
    r.tls = str(tls_);
    r.connect_ns = connect_ns_;
    r.transmit_ns = transmit_ns_;
    r.connection_use = use_;
    r.flags = flags_;
    r.destination = str(destination_);
    return r;
  }

 private:
  mansio_status status_;
  std::uint16_t code_ = 0;
  Enhanced enhanced_;
  std::string text_, remote_mta_, relay_, tls_, destination_;
  std::int64_t connect_ns_ = 0, transmit_ns_ = 0;
  std::uint32_t use_ = 0, flags_ = 0;
};

inline Reply sent(std::string text = {}, Enhanced enhanced = {2, 0, 0}) {
  return Reply{MANSIO_OK, enhanced, std::move(text)};
}
inline Reply defer(Enhanced enhanced, std::string text) { return Reply{MANSIO_DEFER, enhanced, std::move(text)}; }
inline Reply bounce(Enhanced enhanced, std::string text) { return Reply{MANSIO_FAIL, enhanced, std::move(text)}; }
// It may have been delivered: the host retries.
inline Reply uncertain(Enhanced enhanced, std::string text) {
  return Reply{MANSIO_UNCERTAIN, enhanced, std::move(text)};
}

// ---- DNS ---------------------------------------------------------------------------------------------------------

struct DnsRecord {
  std::string data;              // address text, host name without final dot, or text
  std::uint16_t preference = 0;  // MX
};
struct DnsAnswer {
  mansio_status status = MANSIO_DEFER;  // OK (records), NOT_FOUND, DEFER, FAIL
  std::string text;
  std::vector<DnsRecord> records;

  static DnsAnswer copy(mansio_status status, mansio_str text, const mansio_dns_record *records, std::size_t n,
                        std::size_t stride) {
    DnsAnswer answer{status, string(text), {}};
    answer.records.reserve(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto r = read_record<mansio_dns_record>(records, i, stride);
      answer.records.push_back({string(r.data), r.preference});
    }
    return answer;
  }
};

// ---- the host ----------------------------------------------------------------------------------------------------

// Handle on the host's services; copy it freely, it lives as long as the instance. Thread tags as in abi.h. All are
// noexcept but the option accessors.
class Host : public Config {
 public:
  explicit Host(const mansio_host *host)
      : Config(host),
        log_(get<mansio_host_log>("mansio.host.log/1~draft")),
        op_(get<mansio_host_op>("mansio.host.op/1~draft")),
        reactor_(get<mansio_host_reactor>("mansio.host.reactor/1~draft")),
        dns_(get<mansio_host_dns>("mansio.host.dns/1~draft")),
        message_(get<mansio_host_message>("mansio.host.message/1~draft")) {}

  // log [any]
  void log(int level, std::string_view text, mansio_op op = {}) const noexcept {
    log_->log(host_, level, op, str(text));
  }
  void debug(std::string_view text, mansio_op op = {}) const noexcept { log(MANSIO_LOG_DEBUG, text, op); }
  void info(std::string_view text, mansio_op op = {}) const noexcept { log(MANSIO_LOG_INFO, text, op); }
  void warn(std::string_view text, mansio_op op = {}) const noexcept { log(MANSIO_LOG_WARN, text, op); }
  void error(std::string_view text, mansio_op op = {}) const noexcept { log(MANSIO_LOG_ERROR, text, op); }

  // operations [any]
  void rcpt(mansio_op op, std::size_t index, const Reply &reply) const noexcept {
    const auto r = reply.abi();
    op_->rcpt(host_, op, static_cast<std::uint32_t>(index), &r);
  }
  void complete(mansio_op op, const Reply &reply) const noexcept {
    const auto r = reply.abi();
    op_->complete(host_, op, &r);
  }
  bool alive(mansio_op op) const noexcept { return op_->alive(host_, op) != 0; }

  // reactor and timers [loop]; post and now [any]
  bool watch(int fd, int events, mansio_ready_fn ready, void *arg) const noexcept {
    return reactor_->watch(host_, fd, events, ready, arg) == MANSIO_OK;
  }
  void forget(int fd) const noexcept { reactor_->forget(host_, fd); }
  std::uint64_t timer(std::int64_t after_ns, mansio_timer_fn fire, void *arg) const noexcept {
    return reactor_->timer(host_, after_ns, fire, arg);
  }
  void cancel_timer(std::uint64_t timer) const noexcept { reactor_->cancel_timer(host_, timer); }
  void post(mansio_timer_fn run, void *arg) const noexcept { reactor_->post(host_, run, arg); }
  std::int64_t now() const noexcept { return reactor_->now(host_); }

  // The same with a member function: host.watch<&Session::ready>(fd, MANSIO_READABLE, this). Exceptions stop here.
  template <auto Method, class T>
  bool watch(int fd, int events, T *self) const noexcept {
    return watch(
        fd, events, [](void *arg, int e) { shield<T>(arg, [e](T &t) { (t.*Method)(e); }); }, self);
  }
  template <auto Method, class T>
  std::uint64_t timer(std::int64_t after_ns, T *self) const noexcept {
    return timer(
        after_ns, [](void *arg) { shield<T>(arg, [](T &t) { (t.*Method)(); }); }, self);
  }
  // Runs `f` on the loop soon. [any]; may throw bad_alloc.
  template <class F>
  void post(F f) const {
    struct Job {
      Host on;
      F run;
      Host &host() { return on; }
    };
    auto job = std::make_unique<Job>(Job{*this, std::move(f)});
    post(
        [](void *arg) {
          const std::unique_ptr<Job> mine{static_cast<Job *>(arg)};
          shield<Job>(mine.get(), [](Job &j) { j.run(); });
        },
        job.release());
  }

  // DNS [loop]; `done` runs once, later.
  void query(std::string_view name, std::uint16_t type, mansio_dns_fn done, void *arg) const noexcept {
    dns_->query(host_, str(name), type, done, arg);
  }
  template <auto Method, class T>
  void query(std::string_view name, std::uint16_t type, T *self) const noexcept {
    query(
        name, type,
        [](void *arg, mansio_status status, mansio_str text, const mansio_dns_record *records, std::size_t n,
           std::size_t stride) {
          shield<T>(arg, [&](T &t) { (t.*Method)(DnsAnswer::copy(status, text, records, n, stride)); });
        },
        self);
  }

  // the message [any]
  std::uint64_t length(mansio_op op) const noexcept { return message_->length(host_, op); }
  // Bytes copied, 0 at the end, -1 on an error (also when the operation is over).
  std::int64_t read(mansio_op op, std::uint64_t offset, char *to, std::size_t n) const noexcept {
    return message_->read(host_, op, offset, to, n);
  }
  std::vector<mansio_slice> slices(mansio_op op) const {
    std::vector<mansio_slice> all(message_->slices(host_, op, nullptr, 0, sizeof(mansio_slice)));
    for (auto &slice : all) slice.size = sizeof slice;
    const auto n = all.empty() ? 0 : message_->slices(host_, op, all.data(), all.size(), sizeof(mansio_slice));
    all.resize(std::min(all.size(), n));
    return all;
  }

 private:
  // T may offer `host()` to have what it throws logged.
  template <class T, class F>
  static void shield(void *arg, F f) noexcept {
    auto &self = *static_cast<T *>(arg);
    try {
      f(self);
    } catch (const std::exception &e) {
      if constexpr (requires { self.host().error(e.what()); }) self.host().error(e.what());
    } catch (...) {
      if constexpr (requires { self.host().error(""); }) self.host().error("unknown exception in a callback");
    }
  }

  const mansio_host_log *log_;
  const mansio_host_op *op_;
  const mansio_host_reactor *reactor_;
  const mansio_host_dns *dns_;
  const mansio_host_message *message_;
};

// ---- glue --------------------------------------------------------------------------------------------------------

// P: static info and options, P(Host), void start(mansio_op, Delivery), and if it likes void cancel(mansio_op) and
// static void check(const Config &), which throws what the constructor would throw for the values of the options.
template <class P>
struct TransportGlue {
  struct Box {
    Host host;
    P plugin;
    explicit Box(const mansio_host *raw) : host(raw), plugin(host) {}
  };

  static mansio_status create(const mansio_host *raw, void **self) noexcept {
    try {
      *self = new Box{raw};
      return MANSIO_OK;
    } catch (const Problems::Reported &) {
      return MANSIO_BAD_CONFIG;
    } catch (const BadConfig &e) {
      say(raw, e);
      return MANSIO_BAD_CONFIG;
    } catch (const std::exception &e) {
      say(raw, e.what());
    } catch (...) {
      say(raw, "unknown exception while starting");
    }
    return MANSIO_INTERNAL;
  }
  static void check(const mansio_host *raw) noexcept {
    if constexpr (requires(const Config &config) { P::check(config); }) {
      try {
        P::check(Config{raw});
      } catch (const Problems::Reported &) {
      } catch (const BadConfig &e) {
        say(raw, e);
      } catch (const std::exception &e) {
        say(raw, BadConfig{std::string{"cannot be checked: "} + e.what()});
      } catch (...) {
        say(raw, BadConfig{"cannot be checked: unknown exception"});
      }
    }
  }
  static void destroy(void *self) noexcept { delete static_cast<Box *>(self); }
  static void start(void *self, mansio_op op, const mansio_delivery *delivery) noexcept {
    auto &box = *static_cast<Box *>(self);
    try {
      box.plugin.start(op, Delivery{*delivery});
    } catch (const std::exception &e) {
      fail(box.host, op, e.what());
    } catch (...) {
      fail(box.host, op, "unknown exception");
    }
  }
  static void cancel(void *self, mansio_op op) noexcept {
    auto &box = *static_cast<Box *>(self);
    if constexpr (requires { box.plugin.cancel(op); }) {
      try {
        box.plugin.cancel(op);
      } catch (const std::exception &e) {
        box.host.error(e.what(), op);
      } catch (...) {
        box.host.error("unknown exception in cancel", op);
      }
    }
  }
  static const void *get(void *, const char *iface) noexcept {
    static constexpr mansio_transport table{start, cancel};
    return std::string_view{iface} == "mansio.transport/1~draft" ? &table : nullptr;
  }
  static const mansio_plugin *entry() noexcept {
    static constexpr mansio_plugin plugin{sizeof(mansio_plugin),
                                          MANSIO_ABI_BUILD,
                                          P::info.name,
                                          P::info.version,
                                          P::options,
                                          P::info.needs,
                                          create,
                                          destroy,
                                          get,
                                          check};
    return &plugin;
  }

 private:
  static void say(const mansio_host *raw, const char *text) noexcept {
    const auto *log = static_cast<const mansio_host_log *>(raw->get(raw, "mansio.host.log/1~draft"));
    if (log) log->log(raw, MANSIO_LOG_ERROR, mansio_op{}, str(text));
  }
  static void say(const mansio_host *raw, const BadConfig &bad) noexcept {
    const auto *problem = static_cast<const mansio_host_problem *>(raw->get(raw, "mansio.host.problem/1~draft"));
    if (problem) problem->report(raw, str(bad.option), str(bad.text));
  }
  static void fail(const Host &host, mansio_op op, std::string_view text) noexcept {
    mansio_reply r{};
    r.size = sizeof r;
    r.status = MANSIO_INTERNAL;
    r.text = str(text);
    const auto *ops = static_cast<const mansio_host_op *>(host.raw()->get(host.raw(), "mansio.host.op/1~draft"));
    if (ops) ops->complete(host.raw(), op, &r);
  }
};

}  // namespace mansio::plugin

#define MANSIO_TRANSPORT_PLUGIN(Class)                                        \
  extern "C" MANSIO_EXPORT const mansio_plugin *mansio_plugin_entry_1(void) { \
    return ::mansio::plugin::TransportGlue<Class>::entry();                   \
  }
