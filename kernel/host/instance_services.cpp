// What a plugin reaches through mansio_host, as far as it is the instance's: log, reactor, DNS, tables, numbers,
// messages.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "kernel/host/instance.hpp"
#include "kernel/host/option_check.hpp"

namespace mansio::host {
namespace {

constexpr double kLogBurst = 10;             // seconds' worth
constexpr std::size_t kLongestLimit = 4096;  // octets, of its name and its key

mansio_status status_of(io::TableAnswer::Outcome outcome) {
  switch (outcome) {
    case io::TableAnswer::Outcome::Found:
      return MANSIO_OK;
    case io::TableAnswer::Outcome::NotFound:
      return MANSIO_NOT_FOUND;
    case io::TableAnswer::Outcome::TryLater:
      break;
  }
  return MANSIO_DEFER;
}

}  // namespace

// ---- log ---------------------------------------------------------------------------------------------------------

void Instance::log(int level, std::uint64_t op, std::string_view text) {
  if (!on_loop()) {  // a Logger belongs to its thread
    inbox_.put([this, level, op, copy = std::string{text}] { log(level, op, copy); });
    return;
  }
  const auto at = static_cast<LogLevel>(std::clamp(level, 0, 3));
  if (beginning_ && at == LogLevel::Error) complain(one_line(text));
  if (!log_.enabled(at) || !may_log()) return;
  const auto message = op ? operations_.message(op) : std::nullopt;
  if (message && message->value != 0)
    log_.log(at, text, {{"qid", *message}, {label_, options_.name}, {"plugin", plugin_.name}});
  else
    log_.log(at, text, {{label_, options_.name}, {"plugin", plugin_.name}});
}

// A plugin that floods the log must not bury what others say, nor fill the disk.
bool Instance::may_log() {
  const auto rate = static_cast<double>(options_.limits.log_rate);
  const auto now = clock_.mono();
  if (log_filled_ == 0)
    log_tokens_ = rate * kLogBurst;
  else
    log_tokens_ = std::min(rate * kLogBurst, log_tokens_ + rate * static_cast<double>(now - log_filled_) / 1e9);
  log_filled_ = std::max<Nanos>(now, 1);
  if (log_tokens_ < 1) {
    ++log_dropped_;
    ++metrics_.host.log_dropped;
    return false;
  }
  log_tokens_ -= 1;
  if (log_dropped_ > 0)
    log_.warn("plugin floods the log; lines were dropped", {{label_, options_.name},
                                                            {"plugin", plugin_.name},
                                                            {"dropped", std::exchange(log_dropped_, 0)},
                                                            {"lines_per_second", options_.limits.log_rate}});
  return true;
}

void Instance::problem(std::string_view option, std::string_view text) {
  const auto line = to_string(OptionProblem{std::string{option}, one_line(text)});
  if (!on_loop()) return log(MANSIO_LOG_ERROR, 0, line);
  log_.error("plugin refuses its options", {{label_, options_.name}, {"plugin", plugin_.name}, {"reason", line}});
  if (beginning_) complain(line);
}

void Instance::complain(const std::string &line) { complaints_ += (complaints_.empty() ? "" : "; ") + line; }

mansio_str Instance::find(const std::map<std::string, std::string> &values, const char *name) {
  const auto i = values.find(name);
  return i == values.end() ? mansio_str{nullptr, 0} : str(i->second);
}

// ---- loop --------------------------------------------------------------------------------------------------------

// The reactor's tables have no lock; a call from elsewhere is refused instead.
bool Instance::on_loop_or_misbehaves(const char *service) {
  if (on_loop()) return true;
  inbox_.put([this, what = fmt::format("called {} from a wrong thread", service)] { misbehaves(what); });
  return false;
}

// What is set up on behalf of an operation runs on its behalf, as far as the crash marker is concerned.
bool Instance::watch(int fd, int events, mansio_ready_fn ready, void *arg) {
  if (!on_loop_or_misbehaves("watch()")) return false;
  return ready && watches_.watch(fd, events, [this, op = current_, ready, arg](int which) {
    call(op, [&] { ready(arg, which); });
  });
}

void Instance::forget(int fd) {
  if (on_loop_or_misbehaves("forget()")) watches_.forget(fd);
}

std::uint64_t Instance::timer(Nanos after, mansio_timer_fn fire, void *arg) {
  if (!on_loop_or_misbehaves("timer()")) return 0;
  return timers_.add(after, [this, op = current_, fire, arg] { call(op, [&] { fire(arg); }); });
}

void Instance::cancel_timer(std::uint64_t id) {
  if (on_loop_or_misbehaves("cancel_timer()")) timers_.cancel(id);
}

void Instance::post(mansio_timer_fn f, void *arg) {
  const auto op = on_loop() ? current_ : 0;
  inbox_.put([this, op, f, arg] { call(op, [&] { f(arg); }); });
}

void Instance::query(std::string_view name, std::uint16_t type, mansio_dns_fn done, void *arg) {
  if (!on_loop()) {
    inbox_.put([this, name = std::string{name}, type, done, arg] { query(name, type, done, arg); });
    return;
  }
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

// A table may answer at once, from the cache; a plugin is never called back inside its own call.
void Instance::look_up(std::string_view table, std::string_view key, mansio_lookup_fn done, void *arg) {
  if (!on_loop() || depth_ > 0) {
    const auto op = on_loop() ? current_ : 0;
    inbox_.put([this, op, table = std::string{table}, key = std::string{key}, done, arg] {
      current_ = op;
      look_up(table, key, done, arg);
      current_ = 0;
    });
    return;
  }
  const auto answered = [this, alive = std::weak_ptr{alive_}, op = current_, done, arg](const io::TableAnswer &answer) {
    if (alive.expired()) return;
    std::vector<mansio_str> values;
    for (const auto &v : answer.values) values.push_back(str(v));
    mansio_reply reply{};
    reply.size = sizeof reply;
    reply.status = status_of(answer.outcome);
    reply.text = str(answer.text);
    reply.values = values.data();
    reply.n_values = values.size();
    reply.ttl_ns = answer.ttl;
    call(op, [&] { done(arg, &reply); });
  };
  if (tables_) return tables_->query(table, key, answered);
  io::TableAnswer none;
  none.text = fmt::format("there is no table {}", table);
  answered(none);
}

// ---- numbers -----------------------------------------------------------------------------------------------------

// Who does not count takes no table. A plugin that is tried by itself counts in memory of its own.
process::Numbers *Instance::numbers() {
  std::call_once(numbers_asked_, [this] {
    auto *memory = shared_;
    if (!memory) {
      auto made = process::SharedMemory::create();
      if (!made) return;
      own_memory_ = std::move(*made);
      memory = own_memory_.get();
    }
    numbers_.emplace(memory->numbers(slot_, code_.name));
  });
  return numbers_ ? &*numbers_ : nullptr;
}

// ---- mail of its own ---------------------------------------------------------------------------------------------

// Never answered inside the plugin's own call, not even that the form is wrong.
void Instance::submit(const mansio_submission *mail, mansio_submit_fn done, void *arg) {
  if (!done) return;
  auto read = std::make_shared<Result<ReadSubmission>>(read_submission(mail));
  inbox_.put([this, op = on_loop() ? current_ : 0, read, done, arg] {
    const auto answered = [this, alive = std::weak_ptr{alive_}, op, done, arg](const wire::SubmitResult &result) {
      if (alive.expired()) return;
      const auto text = result.status == Status::Ok ? to_string(result.id) : result.text;
      const auto status = result.status == Status::Ok     ? MANSIO_OK
                          : result.status == Status::Fail ? MANSIO_FAIL
                                                          : MANSIO_DEFER;
      call(op, [&] { done(arg, status, str(text)); });
    };
    if (*read && submitter_) {
      (*read)->call.plugin = code_.name;
      return submitter_->submit(std::move((*read)->call), std::move((*read)->content), answered);
    }
    auto none = not_submitted(*read ? "there is no queue here" : read->error().text);
    if (!*read && read->error().status == Status::Fail) none.status = Status::Fail;
    answered(none);
  });
}

// ---- permits -----------------------------------------------------------------------------------------------------

void Instance::take_permits(std::string_view limit, std::string_view key, std::uint32_t want, mansio_rate_fn done,
                            void *arg) {
  if (!done) return;
  wire::PermitsAsk ask;
  ask.limit = limit;
  ask.key = key;
  ask.want = want;
  const bool sane = limit.size() <= kLongestLimit && key.size() <= kLongestLimit && want > 0;
  inbox_.put([this, op = on_loop() ? current_ : 0, ask = std::move(ask), sane, done, arg] {
    const auto answered = [this, alive = std::weak_ptr{alive_}, op, want = ask.want, done,
                           arg](const wire::PermitsGiven &given) {
      if (alive.expired()) return;
      call(op, [&] { done(arg, std::min(given.granted, want), given.retry); });
    };
    if (sane && submitter_) return submitter_->take_permits(ask, answered);
    wire::PermitsGiven none = no_permits_now();
    if (!sane) none.retry = wire::PermitsGiven::kNever;
    answered(none);
  });
}

// ---- message -----------------------------------------------------------------------------------------------------

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
  if (!source || (source->lend && !source->lend())) return 0;
  for (std::size_t i = 0; i < std::min(max, source->slices.size()); ++i)
    std::memcpy(reinterpret_cast<char *>(to) + i * stride, &source->slices[i], std::min(stride, sizeof(mansio_slice)));
  return source->slices.size();
}

}  // namespace mansio::host
