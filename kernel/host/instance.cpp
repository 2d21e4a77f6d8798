#include "kernel/host/instance.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/host/option_check.hpp"

namespace mansio::host {
namespace {

mansio_str str(std::string_view s) { return {s.data(), s.size()}; }

Answer trouble(wire::DeliveryStatus status, std::string text) {
  Answer a;
  a.outcome.status = status;
  a.outcome.enhanced = {4, 3, 0};
  a.outcome.text = std::move(text);
  a.outcome.relay = "none";
  return a;
}

std::uint32_t flags_of(const wire::Lease &lease) {
  std::uint32_t flags = 0;
  const auto set = [&](bool on, std::uint32_t flag) { flags |= on ? flag : 0; };
  set(lease.body.eight_bit, MANSIO_MSG_EIGHT_BIT);
  set(lease.body.eight_bit_header, MANSIO_MSG_EIGHT_BIT_HEADER);
  set(lease.body.leading_dots, MANSIO_MSG_LEADING_DOTS);
  set(lease.smtputf8, MANSIO_MSG_SMTPUTF8);
  set(lease.require_tls, MANSIO_MSG_REQUIRETLS);
  set(lease.body_type == BodyType::EightBitMime, MANSIO_MSG_BODY_8BITMIME);
  set(lease.possible_duplicate, MANSIO_MSG_POSSIBLE_DUPLICATE);
  return flags;
}

}  // namespace

Result<std::unique_ptr<TransportInstance>> TransportInstance::create(asio::io_context &loop, const Clock &clock,
                                                                     Logger &log, io::Dns &dns,
                                                                     const mansio_plugin &plugin,
                                                                     InstanceOptions options, Events events) {
  auto instance = std::make_unique<Instance>(loop, clock, log, dns, plugin, std::move(options), std::move(events));
  if (auto begun = instance->begin(); !begun) return begun.error();
  return std::unique_ptr<TransportInstance>{std::move(instance)};
}

Instance::Instance(asio::io_context &loop, const Clock &clock, Logger &log, io::Dns &dns, const mansio_plugin &plugin,
                   InstanceOptions options, Events events)
    : clock_(clock),
      log_(log),
      dns_(dns),
      plugin_(plugin),
      options_(std::move(options)),
      events_(std::move(events)),
      host_{sizeof host_, MANSIO_ABI_BUILD, this,
            [](const mansio_host *, const char *iface) noexcept { return service(iface); }},
      timers_(loop),
      watches_(loop),
      inbox_(loop) {
  options_.facts.try_emplace("instance", options_.name);
}

Instance::~Instance() {
  // Nobody listens any more, but plugin code still runs in destroy(), so the marker stays of use.
  events_.recipient = nullptr;
  events_.complete = nullptr;
  for (const auto op : operations_.all()) operations_.close(op);
  if (self_) call(0, [&] { plugin_.destroy(self_); });
  inbox_.close();
}

Result<void> Instance::begin() {
  mansio_status status = MANSIO_INTERNAL;
  beginning_ = true;
  if (!call(0, [&] { status = plugin_.create(&host_, &self_); })) status = MANSIO_INTERNAL;
  beginning_ = false;
  if (status != MANSIO_OK) {
    self_ = nullptr;
    return Error{status == MANSIO_BAD_CONFIG ? Status::BadConfig : Status::Internal,
                 fmt::format("transport {}: {} did not start: {}", options_.name, plugin_.name,
                             complaints_.empty() ? "it does not say why" : complaints_)};
  }
  call(0, [&] { transport_ = static_cast<const mansio_transport *>(plugin_.get(self_, "mansio.transport/1~draft")); });
  if (!transport_ || !transport_->start)
    return Error{Status::BadConfig, fmt::format("transport {}: {} is no transport", options_.name, plugin_.name)};
  return {};
}

// ---- operations --------------------------------------------------------------------------------------------------

void Instance::start(const wire::Lease &lease, MessageSource message) {
  std::vector<mansio_recipient> recipients(lease.recipients.size());
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const auto &from = lease.recipients[i];
    recipients[i] = {sizeof(mansio_recipient), from.notify, str(from.address), str(from.original), str(from.orcpt)};
  }
  mansio_delivery d{};
  d.size = sizeof d;
  d.flags = flags_of(lease);
  const auto queue_id = to_string(lease.id);
  d.queue_id = str(queue_id);
  d.sender = str(lease.sender);
  d.nexthop = str(lease.nexthop);
  d.recipients = recipients.data();
  d.n_recipients = recipients.size();
  d.recipient_stride = sizeof(mansio_recipient);
  for (const auto &slice : message.slices) d.length += slice.length;
  d.ret = static_cast<std::uint8_t>(lease.ret);
  d.envid = str(lease.envid);
  d.client_address = str(lease.client_address);
  d.client_name = str(lease.client_name);
  d.client_helo = str(lease.client_helo);
  d.source_pool = str(lease.source_pool);
  d.arrival = lease.arrival;
  d.deadline = lease.deadline;

  const auto n = recipients.size();
  const auto op = operations_.open({lease.lease, lease.id, n, std::vector<bool>(n), false, 0}, std::move(message));
  by_lease_[lease.lease] = op;
  if (lease.deadline > 0)
    operations_.find(op)->timer = timers_.add(lease.deadline - clock_.mono(), [this, op] { deadline(op); });
  if (!call(op, [&] { transport_->start(self_, mansio_op{op}, &d); }) && operations_.find(op))
    end(op, trouble(wire::DeliveryStatus::Uncertain, "the transport's plugin failed"));
}

void Instance::cancel(std::uint64_t lease) {
  const auto i = by_lease_.find(lease);
  if (i == by_lease_.end()) return;
  const auto op = i->second;
  operations_.no_more_alive(op);
  if (transport_->cancel) call(op, [&] { transport_->cancel(self_, mansio_op{op}); });
}

// The plugin gets one chance to say how things stand; what it leaves open may have happened.
void Instance::deadline(std::uint64_t op) {
  const auto *operation = operations_.find(op);
  if (!operation) return;
  const auto message = operation->message;
  operations_.no_more_alive(op);
  if (transport_->cancel) call(op, [&] { transport_->cancel(self_, mansio_op{op}); });
  if (!operations_.find(op)) return;
  log_.warn("delivery exceeded its time limit",
            {{"qid", message}, {"transport", options_.name}, {"plugin", plugin_.name}});
  end(op, trouble(wire::DeliveryStatus::Uncertain, "delivery time limit exceeded"));
}

void Instance::answer(std::uint64_t op, std::int64_t recipient, const mansio_reply *reply) {
  Report report{op, recipient, read_reply(reply)};
  if (on_loop() && depth_ > 0) {
    reports_.push_back(std::move(report));
    return;
  }
  inbox_.put([this, report = std::move(report)] { take(report); });
}

void Instance::take(const Report &report) {
  auto *operation = operations_.find(report.op);
  if (!operation) return misbehaves("answered an operation that is over");
  if (report.recipient < 0) return end(report.op, report.answer);
  const auto index = static_cast<std::size_t>(report.recipient);
  if (index >= operation->recipients) return misbehaves("reported a recipient that is not there", operation->message);
  if (operation->reported[index]) return misbehaves("reported a recipient twice", operation->message);
  operation->reported[index] = true;
  operation->site_failure |= report.answer.site_failure;
  auto outcome = report.answer.outcome;
  outcome.index = static_cast<std::uint32_t>(index);
  if (events_.recipient) events_.recipient(operation->lease, outcome);
}

void Instance::end(std::uint64_t op, const Answer &last) {
  const auto &operation = *operations_.find(op);
  const auto lease = operation.lease;
  const bool site_failure = operation.site_failure || last.site_failure;
  timers_.cancel(operation.timer);
  by_lease_.erase(lease);
  operations_.close(op);
  if (events_.complete) events_.complete(lease, last.outcome, site_failure, last.destination);
}

template <class F>
bool Instance::call(std::uint64_t op, F f) {
  const auto outer = current_;
  const auto message = op ? operations_.message(op).value_or(MessageId{}) : MessageId{};
  current_ = op;
  ++depth_;
  if (events_.working_on) events_.working_on(message.value);
  bool fine = true;
  try {
    f();
  } catch (const std::exception &e) {
    fine = false;
    misbehaves(fmt::format("threw an exception: {}", e.what()), message);
  } catch (...) {
    fine = false;
    misbehaves("threw an exception", message);
  }
  current_ = outer;
  if (--depth_ == 0) {
    if (events_.working_on) events_.working_on(0);
    flush();
  }
  return fine;
}

// Events may start operations, whose plugin calls report in turn: the outermost flush takes those too.
void Instance::flush() {
  if (flushing_) return;
  flushing_ = true;
  while (!reports_.empty()) {
    std::vector<Report> batch;
    batch.swap(reports_);
    for (const auto &report : batch) take(report);
  }
  flushing_ = false;
}

void Instance::misbehaves(std::string_view what, MessageId message) {
  ++misbehaviours_;
  log_.warn("plugin misbehaves",
            {{"qid", message}, {"transport", options_.name}, {"plugin", plugin_.name}, {"what", what}});
}

// ---- services ----------------------------------------------------------------------------------------------------

void Instance::log(int level, std::uint64_t op, std::string_view text) {
  if (!on_loop()) {  // a Logger belongs to its thread
    inbox_.put([this, level, op, copy = std::string{text}] { log(level, op, copy); });
    return;
  }
  const auto at = static_cast<LogLevel>(std::clamp(level, 0, 3));
  if (beginning_ && at == LogLevel::Error) complain(one_line(text));
  const auto message = op ? operations_.message(op) : std::nullopt;
  if (message)
    log_.log(at, text, {{"qid", *message}, {"transport", options_.name}, {"plugin", plugin_.name}});
  else
    log_.log(at, text, {{"transport", options_.name}, {"plugin", plugin_.name}});
}

void Instance::problem(std::string_view option, std::string_view text) {
  const auto line = to_string(OptionProblem{std::string{option}, one_line(text)});
  if (!on_loop()) return log(MANSIO_LOG_ERROR, 0, line);
  log_.error("plugin refuses its options", {{"transport", options_.name}, {"plugin", plugin_.name}, {"reason", line}});
  if (beginning_) complain(line);
}

void Instance::complain(const std::string &line) { complaints_ += (complaints_.empty() ? "" : "; ") + line; }

mansio_str Instance::lookup(const std::map<std::string, std::string> &values, const char *name) {
  const auto i = values.find(name);
  return i == values.end() ? mansio_str{nullptr, 0} : str(i->second);
}

// What is set up on behalf of an operation runs on its behalf, as far as the crash marker is concerned.
bool Instance::watch(int fd, int events, mansio_ready_fn ready, void *arg) {
  return ready && watches_.watch(fd, events, [this, op = current_, ready, arg](int which) {
    call(op, [&] { ready(arg, which); });
  });
}

std::uint64_t Instance::timer(Nanos after, mansio_timer_fn fire, void *arg) {
  return timers_.add(after, [this, op = current_, fire, arg] { call(op, [&] { fire(arg); }); });
}

void Instance::post(mansio_timer_fn run, void *arg) {
  const auto op = on_loop() ? current_ : 0;
  inbox_.put([this, op, run, arg] { call(op, [&] { run(arg); }); });
}

void Instance::query(std::string_view name, std::uint16_t type, mansio_dns_fn done, void *arg) {
  dns_.query(name, static_cast<io::DnsType>(type),
             [this, alive = std::weak_ptr{alive_}, op = current_, done, arg](const io::DnsResult &result) {
               if (alive.expired()) return;
               std::vector<mansio_dns_record> records;
               if (result)
                 for (const auto &r : result->records)
                   records.push_back({sizeof(mansio_dns_record), r.preference, str(r.data)});
               const auto status = result ? MANSIO_OK : static_cast<mansio_status>(result.error().status);
               const auto text = result ? mansio_str{nullptr, 0} : str(result.error().text);
               call(op, [&] { done(arg, status, text, records.data(), records.size(), sizeof(mansio_dns_record)); });
             });
}

std::uint64_t Instance::message_length(std::uint64_t op) const {
  std::uint64_t length = 0;
  if (const auto source = operations_.source(op))
    for (const auto &slice : source->slices) length += slice.length;
  return length;
}

std::int64_t Instance::message_read(std::uint64_t op, std::uint64_t offset, char *to, std::size_t n) const {
  const auto source = operations_.source(op);
  if (!source) return -1;
  std::size_t done = 0;
  for (const auto &slice : source->slices) {
    if (offset >= slice.length) {
      offset -= slice.length;
      continue;
    }
    while (done < n && offset < slice.length) {
      const auto want = std::min<std::uint64_t>(n - done, slice.length - offset);
      const auto got = ::pread(slice.fd, to + done, want, static_cast<off_t>(slice.offset + offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return -1;  // a message never ends before its length
      done += static_cast<std::size_t>(got);
      offset += static_cast<std::uint64_t>(got);
    }
    offset = 0;
    if (done == n) break;
  }
  // When the operation ended meanwhile its place in the spool may hold other mail by now: those bytes are not its.
  if (!operations_.source(op)) return -1;
  return static_cast<std::int64_t>(done);
}

std::size_t Instance::message_slices(std::uint64_t op, mansio_slice *to, std::size_t max, std::size_t stride) const {
  const auto source = operations_.source(op);
  if (!source) return 0;
  for (std::size_t i = 0; i < std::min(max, source->slices.size()); ++i)
    std::memcpy(reinterpret_cast<char *>(to) + i * stride, &source->slices[i], std::min(stride, sizeof(mansio_slice)));
  return source->slices.size();
}

}  // namespace mansio::host
