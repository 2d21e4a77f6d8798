// mansio/host.hpp: the host's services (mansio/abi.h) as C++20, header-only, and what is said to it.
//
// Everything that is borrowed by the ABI's rules is copied before your code sees it. Part of mansio/plugin.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
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
  Reply &value(std::string v) {  // of a lookup: one more
    values_.push_back(std::move(v));
    return *this;
  }
  Reply &ttl(std::int64_t ns) {  // of a lookup: how long the answer may be reused; < 0 = not at all
    ttl_ns_ = ns;
    return *this;
  }
  Reply &retry(std::int64_t ns) {  // of defer(): do not ask again before
    retry_ns_ = ns;
    return *this;
  }

  mansio_status status() const { return status_; }
  std::uint16_t code() const { return code_; }
  Enhanced enhanced() const { return enhanced_; }
  const std::string &text() const { return text_; }
  const std::vector<std::string> &values() const { return values_; }

  // f(const mansio_reply &), whose pointers are good during that call only.
  template <class F>
  void with_abi(F f) const {
    if (values_.size() <= 1) {  // the common case allocates nothing
      const auto one = values_.empty() ? mansio_str{} : str(values_.front());
      return f(abi(&one, values_.size()));
    }
    std::vector<mansio_str> all;
    try {
      all.reserve(values_.size());
    } catch (const std::bad_alloc &) {
      auto r = abi(nullptr, 0);
      r.status = MANSIO_INTERNAL;
      return f(r);
    }
    for (const auto &v : values_) all.push_back(str(v));
    f(abi(all.data(), all.size()));
  }

  static Reply copy(const mansio_reply *borrowed) {
    const auto r = read_record<mansio_reply>(borrowed);
    Reply out{r.status, {r.enhanced[0], r.enhanced[1], r.enhanced[2]}, string(r.text)};
    out.code_ = r.smtp_code;
    out.values_.reserve(r.n_values);
    for (std::size_t i = 0; i < r.n_values; ++i) out.values_.push_back(string(r.values[i]));
    out.ttl_ns_ = r.ttl_ns;
    out.retry_ns_ = r.retry_ns;
    return out;
  }

 private:
  mansio_reply abi(const mansio_str *values, std::size_t n) const {
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
    r.values = values;
    r.n_values = n;
    r.ttl_ns = ttl_ns_;
    r.retry_ns = retry_ns_;
    return r;
  }

  mansio_status status_;
  std::uint16_t code_ = 0;
  Enhanced enhanced_;
  std::string text_, remote_mta_, relay_, tls_, destination_;
  std::vector<std::string> values_;
  std::int64_t ttl_ns_ = 0, retry_ns_ = 0;
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

// Of a lookup.
inline Reply found(std::string value) {
  Reply r{MANSIO_OK};
  r.value(std::move(value));
  return r;
}
inline Reply found_all(std::vector<std::string> values) {
  if (values.empty()) return Reply{MANSIO_NOT_FOUND};
  Reply r{MANSIO_OK};
  for (auto &v : values) r.value(std::move(v));
  return r;
}
inline Reply not_found() { return Reply{MANSIO_NOT_FOUND}; }
inline Reply defer(std::string text) { return Reply{MANSIO_DEFER, {4, 3, 0}, std::move(text)}; }

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
        log_(get<mansio_host_log>("mansio.host.log/1")),
        op_(get<mansio_host_op>("mansio.host.op/1")),
        reactor_(get<mansio_host_reactor>("mansio.host.reactor/1")),
        dns_(get<mansio_host_dns>("mansio.host.dns/1")),
        lookup_(get<mansio_host_lookup>("mansio.host.lookup/1")),
        message_(get<mansio_host_message>("mansio.host.message/1")),
        metrics_(get<mansio_host_metrics>("mansio.host.metrics/1")) {}

  // Any other service, such as a draft; throws BadConfig where it is not offered.
  template <class Table>
  const Table *service(const char *iface) const {
    return get<Table>(iface);
  }

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
    reply.with_abi([&](const mansio_reply &r) { op_->rcpt(host_, op, static_cast<std::uint32_t>(index), &r); });
  }
  void complete(mansio_op op, const Reply &reply) const noexcept {
    reply.with_abi([&](const mansio_reply &r) { op_->complete(host_, op, &r); });
  }
  void complete(mansio_op op, const mansio_reply &reply) const noexcept { op_->complete(host_, op, &reply); }
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

  // metrics: define [init], the others [any]. The name: [a-z0-9_], without prefix.
  std::uint32_t counter(const char *name, const char *help) const noexcept {
    return metrics_->define(host_, MANSIO_METRIC_COUNTER, name, help);
  }
  std::uint32_t gauge(const char *name, const char *help) const noexcept {
    return metrics_->define(host_, MANSIO_METRIC_GAUGE, name, help);
  }
  void add(std::uint32_t metric, std::int64_t by = 1) const noexcept { metrics_->add(host_, metric, by); }
  void set(std::uint32_t metric, std::int64_t value) const noexcept { metrics_->set(host_, metric, value); }

  // A configured table [any]; `done` runs once, later, on the loop.
  void lookup(std::string_view table, std::string_view key, mansio_lookup_fn done, void *arg) const noexcept {
    lookup_->query(host_, str(table), str(key), done, arg);
  }
  template <auto Method, class T>
  void lookup(std::string_view table, std::string_view key, T *self) const noexcept {
    lookup(
        table, key,
        [](void *arg, const mansio_reply *reply) { shield<T>(arg, [&](T &t) { (t.*Method)(Reply::copy(reply)); }); },
        self);
  }

  // DNS [any]; `done` runs once, later, on the loop.
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
  const mansio_host_lookup *lookup_;
  const mansio_host_message *message_;
  const mansio_host_metrics *metrics_;
};

}  // namespace mansio::plugin
