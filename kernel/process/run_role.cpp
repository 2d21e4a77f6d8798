// The life of a role process: wait for Start, give up privileges, prepare, say Ready, serve, drain, end.
// All of it on one thread and one loop.
#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "kernel/config/parse.hpp"
#include "kernel/process/log_sinks.hpp"
#include "kernel/process/log_teller.hpp"
#include "kernel/process/memfd.hpp"
#include "kernel/process/privilege.hpp"
#include "kernel/process/role.hpp"
#include "kernel/process/shared.hpp"

namespace mansio::process {
namespace {

using namespace std::chrono_literals;

constexpr auto kFlushCheck = 10ms;
constexpr int kFlushChecks = 100;  // how long what is queued on channels may take to leave, after finished()
constexpr auto kUnwind = 3s;       // and how long the loop may take to empty after that
constexpr std::size_t kStatsBytes = 32 * 1024;
constexpr std::size_t kLogBehind = 256 * 1024;  // unread by the supervisor; then no lines of the log go to it

class Runner {
 public:
  Runner(const RoleFactory &make, io::UniqueFd supervisor)
      : make_(make), supervisor_(io::Channel::create(loop_, std::move(supervisor))), timer_(loop_), deadline_(loop_) {}
  int run();

 private:
  void on_message(io::Message &m);
  void on_closed(std::string_view why);
  Result<void> born();
  void attach(io::Message &m);
  void reload(io::Message &m);
  std::unique_ptr<LogOutput> log_output(const config::Log &log, io::UniqueFd fd) const {
    return make_log_output(log.target, std::move(fd), log.syslog_name + '/' + start_.self.name);
  }
  void reopen_log(io::Message &m);
  LogSink &told(LogOutput &output) { return told_.emplace_back(output, teller_); }
  void want_log(const wire::LogWanted &order) {
    if (start_.event.empty()) teller_.wanted(order.wanted);  // a plugin never hears itself, nor others that are told
  }
  void send_stats(std::uint32_t request);
  void open_file(const std::string &path, std::function<void(Result<io::UniqueFd>)> done);
  void opened(io::Message &m);
  void drain(const wire::Drain &order);
  void finished();
  void flush_channels(int checks_left);
  void end_now() {
    forced_ = true;
    loop_.stop();
  }

  const RoleFactory &make_;
  asio::io_context loop_{1};
  SystemClock clock_;
  std::shared_ptr<io::Channel> supervisor_;
  asio::steady_timer timer_, deadline_;
  wire::Start start_;
  std::vector<io::UniqueFd> start_fds_;
  bool started_ = false, ready_ = false, draining_ = false, finished_ = false, unwinding_ = false, forced_ = false;
  Nanos drain_until_ = 0, sessions_until_ = 0;
  int exit_code_ = 0;

  std::deque<config::Settings> settings_;  // never shrinks: roles keep references
  std::deque<std::unique_ptr<LogOutput>> outputs_;
  LogTeller teller_{loop_, [this](const wire::LogLines &lines) {
                      return supervisor_->queued_bytes() < kLogBehind && supervisor_->send(lines);
                    }};
  std::deque<ToldLog> told_;  // each of outputs_
  std::optional<Logger> log_;
  std::unique_ptr<SharedMemory> shared_;
  std::optional<RoleContext> context_;
  std::vector<std::weak_ptr<io::Channel>> peers_;
  std::map<std::uint32_t, std::function<void(Result<io::UniqueFd>)>> opening_;
  std::uint32_t next_request_ = 0;
  std::unique_ptr<Role> role_;  // last: it refers to the rest
};

int Runner::run() {
  supervisor_->start([this](io::Message &m) { on_message(m); }, [this](std::string_view why) { on_closed(why); });
  while (!started_ && !forced_ && loop_.run_one() > 0) {
  }
  if (!started_) return 1;
  auto prepared = born();
  if (!prepared) {
    if (log_) log_->error("role failed to start", {{"reason", prepared.error().text}});
    supervisor_->send(wire::Failed{prepared.error().text});
    supervisor_->flush_now();
    exit_code_ = 1;
  } else if (!forced_) {
    ready_ = true;
    supervisor_->send(wire::Ready{});
    role_->run();
    loop_.restart();  // prepare() may have run it dry
    loop_.run();
    if (unwinding_ && !forced_) {  // no timer of ours may keep the loop from running empty
      loop_.restart();
      loop_.run_for(kUnwind);
      forced_ = !loop_.stopped();
    }
  }
  // Work was cut off half-way: objects in the loop may refer to each other in any order, and a process need not
  // tidy up. A thread must.
  if (forced_ && started_ && !start_.threaded) std::_Exit(exit_code_);
  supervisor_->close();
  return exit_code_;
}

Result<void> Runner::born() {
  start_fds_.resize(3);
  auto text = read_exactly(start_fds_[0], start_.snapshot_size);
  if (!text) return Error{Status::Internal, "configuration snapshot: " + text.error().text};
  auto settings = config::parse_snapshot(*text);
  if (!settings) return Error{Status::Internal, "configuration snapshot: " + settings.error().text};
  settings_.push_back(std::move(*settings));
  outputs_.push_back(log_output(settings_.back().log, std::move(start_fds_[1])));
  log_.emplace(told(*outputs_.back()), clock_, start_.self.name, settings_.back().log.level);
  auto shared = SharedMemory::map(std::move(start_fds_[2]));
  if (!shared) return shared.error();
  shared_ = std::move(*shared);

  // Thread or process, the name is what ps and top show.
  ::pthread_setname_np(::pthread_self(), start_.self.name.substr(0, 15).c_str());
  const auto keep = privileges_for(start_, settings_.back());
  if (start_.threaded) {
    if (auto made = make_directories(keep); !made) return made.error();
  } else {
    auto missing = drop_privileges(keep);
    if (!missing) return Error{Status::Internal, "cannot drop privileges: " + missing.error().text};
    if (!missing->empty()) log_->info("sandbox incomplete", {{"missing", *missing}});
  }
  context_.emplace(RoleContext{loop_, clock_, *log_, settings_.back(), start_, *shared_,
                               [this](const std::string &path, std::function<void(Result<io::UniqueFd>)> done) {
                                 open_file(path, std::move(done));
                               },
                               [this] { finished(); }, [this](const wire::Command &c) { return supervisor_->send(c); },
                               [this](const wire::Peer &p) { supervisor_->send(wire::LostPeer{p}); },
                               [this](const wire::Peer &p, std::string_view reason) {
                                 supervisor_->send(wire::EndPeer{p, std::string{reason}});
                               },
                               [this](bool wanted) { supervisor_->send(wire::LogWanted{wanted}); }});
  role_ = make_();
  return role_->prepare(*context_);
}

void Runner::on_closed(std::string_view) {
  // The supervisor is gone, and with it the order of the whole. Nothing in hand is lost: mail is in the spool.
  if (finished_) return;
  exit_code_ = 1;
  end_now();
}

void Runner::on_message(io::Message &m) {
  if (m.type == wire::Start::kType && !started_) {
    const auto start = decode<wire::Start>(m.payload);
    if (!start) return end_now();
    start_ = *start;
    start_fds_ = std::move(m.fds);
    started_ = true;
    return;
  }
  if (m.type == wire::OpenedFile::kType) return opened(m);
  if (!role_) return;
  switch (m.type) {
    case wire::Attach::kType:
      return attach(m);
    case wire::AttachDone::kType:
      return role_->attach_done();
    case wire::Dead::kType:
      if (const auto dead = decode<wire::Dead>(m.payload)) role_->dead(*dead);
      return;
    case wire::Listener::kType:
      if (const auto l = decode<wire::Listener>(m.payload); l && !m.fds.empty() && !draining_)
        role_->listener(*l, std::move(m.fds[0]));
      return;
    case wire::Drain::kType:
      if (const auto d = decode<wire::Drain>(m.payload)) drain(*d);
      return;
    case wire::Draining::kType:
      if (const auto d = decode<wire::Draining>(m.payload)) role_->draining(d->peer);
      return;
    case wire::Reload::kType:
      return reload(m);
    case wire::ReopenLog::kType:
      return reopen_log(m);
    case wire::StatsRequest::kType:
      if (const auto s = decode<wire::StatsRequest>(m.payload)) send_stats(s->request);
      return;
    case wire::PluginCall::kType:
      if (const auto call = decode<wire::PluginCall>(m.payload))
        role_->plugin_call(*call,
                           [to = std::weak_ptr{supervisor_}, request = call->request](wire::PluginCalled &&said) {
                             said.request = request;
                             if (const auto supervisor = to.lock()) supervisor->send(said);
                           });
      return;
    case wire::CommandResult::kType:
      if (const auto r = decode<wire::CommandResult>(m.payload)) role_->command_result(*r);
      return;
    case wire::LogWanted::kType:
      if (const auto order = decode<wire::LogWanted>(m.payload)) want_log(*order);
      return;
    case wire::LogLines::kType:
      if (const auto lines = decode<wire::LogLines>(m.payload)) role_->log_lines(*lines);
      return;
    case wire::Stats::kType:
      if (const auto s = decode<wire::Stats>(m.payload)) role_->peer_stats(*s);
      return;
    default:
      log_->warn("unknown message from the supervisor", {{"type", m.type}});
      return;
  }
}

void Runner::attach(io::Message &m) {
  const auto attach = decode<wire::Attach>(m.payload);
  if (!attach) return;
  if (m.fds.empty() || !m.fds[0]) {
    log_->warn("a channel's descriptor was lost; raise the limit of open files", {{"peer", attach->peer.name}});
    supervisor_->send(wire::LostPeer{attach->peer});
    return;
  }
  auto channel = io::Channel::create(loop_, std::move(m.fds[0]));
  std::erase_if(peers_, [](const auto &p) { return p.expired(); });
  peers_.push_back(channel);
  if (attach->asks) return role_->attach_asked(attach->peer, std::move(channel));
  role_->attach(attach->peer, std::move(channel));
}

void Runner::reload(io::Message &m) {
  const auto order = decode<wire::Reload>(m.payload);
  if (!order) return;
  bool ok = false;
  if (m.fds.size() == 2) {
    if (auto text = read_exactly(m.fds[0], order->snapshot_size)) {
      if (auto settings = config::parse_snapshot(*text)) {
        settings_.push_back(std::move(*settings));
        outputs_.push_back(log_output(settings_.back().log, std::move(m.fds[1])));
        *log_ = Logger{told(*outputs_.back()), clock_, start_.self.name, settings_.back().log.level};
        ok = role_->reload(settings_.back(), order->config_epoch);
      }
    }
  }
  supervisor_->send(wire::Reloaded{order->config_epoch, ok});
}

void Runner::reopen_log(io::Message &m) {
  if (!m.fds.empty() && m.fds[0]) outputs_.back()->reopen(std::move(m.fds[0]));
}

void Runner::send_stats(std::uint32_t request) {
  wire::Stats part{request, true, start_.self, {}};
  std::size_t bytes = 0;
  role_->stats([&](std::string name, double value) {
    bytes += name.size() + 16;
    if (name.starts_with(wire::Stats::kHelp))
      part.help.push_back(name.substr(wire::Stats::kHelp.size()));
    else
      part.values.emplace_back(std::move(name), value);
    if (bytes < kStatsBytes) return;
    supervisor_->send(part);
    part.values.clear();
    part.help.clear();
    bytes = 0;
  });
  part.more = false;
  supervisor_->send(part);
}

void Runner::open_file(const std::string &path, std::function<void(Result<io::UniqueFd>)> done) {
  const auto request = ++next_request_;
  if (!supervisor_->send(wire::OpenFile{request, path})) {
    asio::post(loop_, [done = std::move(done)] { done(Error{Status::Defer, "the supervisor does not listen"}); });
    return;
  }
  opening_.emplace(request, std::move(done));
}

void Runner::opened(io::Message &m) {
  const auto reply = decode<wire::OpenedFile>(m.payload);
  if (!reply) return;
  auto node = opening_.extract(reply->request);
  if (node.empty()) return;
  if (reply->error != 0)
    node.mapped()(Error{Status::Fail, std::strerror(reply->error)});
  else if (m.fds.empty() || !m.fds[0])
    node.mapped()(Error{Status::Busy, "too many open files"});
  else
    node.mapped()(std::move(m.fds[0]));
}

void Runner::drain(const wire::Drain &order) {
  const auto now = clock_.mono();
  const auto until = now + order.within_ns, sessions = now + order.sessions_ns;
  if (finished_ || (draining_ && until >= drain_until_ && sessions >= sessions_until_)) return;
  const bool first = !std::exchange(draining_, true);
  drain_until_ = first ? until : std::min(until, drain_until_);
  sessions_until_ = first ? sessions : std::min(sessions, sessions_until_);
  deadline_.expires_after(std::chrono::nanoseconds{drain_until_ - now});
  deadline_.async_wait([this](ErrorCode e) {
    if (e) return;
    log_->warn("stopped at the deadline with work in hand");
    end_now();
  });
  if (sessions_until_ > now)
    role_->retire(drain_until_, sessions_until_);
  else
    role_->drain(drain_until_);
  if (first) supervisor_->send(order);
}

void Runner::finished() {
  if (finished_) return;
  finished_ = true;
  asio::post(loop_, [this] { flush_channels(kFlushChecks); });
}

// Channels are closed once they have nothing more to say. Closing them, and the supervisor's, is what lets the
// loop run empty.
void Runner::flush_channels(int checks_left) {
  bool pending = false;
  for (const auto &weak : peers_)
    if (const auto c = weak.lock(); c && c->open()) {
      c->flush_now();
      pending = pending || c->queued_bytes() > 0;
    }
  if (pending && checks_left > 0) {
    timer_.expires_after(kFlushCheck);
    timer_.async_wait([this, checks_left](ErrorCode e) {
      if (!e) flush_channels(checks_left - 1);
    });
    return;
  }
  for (const auto &weak : peers_)
    if (const auto c = weak.lock()) c->close();
  teller_.finish();
  supervisor_->flush_now();
  supervisor_->close();
  deadline_.cancel();
  unwinding_ = true;
  loop_.stop();
}

}  // namespace

int run_role(const RoleFactory &make, io::UniqueFd supervisor) { return Runner{make, std::move(supervisor)}.run(); }

}  // namespace mansio::process
