// What the children ask of the supervisor: files, statistics, and the operator's orders that arrive through control.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <iterator>

#include "kernel/supervisor/files.hpp"
#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

constexpr auto kStatsLimit = std::chrono::seconds{2};
constexpr std::size_t kLogBehind = 1024 * 1024;  // what the queue has not read yet; then no lines of the log go to it

}  // namespace

// One question for statistics, and who has not answered yet.
struct Supervisor::StatsRound {
  explicit StatsRound(asio::io_context &loop) : timer(loop) {}
  std::uint32_t number = 0;
  Reply to{};
  std::vector<std::uint32_t> waiting;  // slots
  asio::steady_timer timer;
};

void Supervisor::on_message(Post &post, io::Message &m) {
  switch (m.type) {
    case wire::OpenFile::kType: {
      const auto ask = decode<wire::OpenFile>(m.payload);
      if (!ask) return;
      const auto &files = post.generation->checked.plan.files;
      const bool named = std::find(files.begin(), files.end(), ask->path) != files.end();
      auto file = named ? open_regular(ask->path) : FileAnswer{{}, EACCES};
      std::vector<io::UniqueFd> fds;
      if (file.fd) fds.push_back(std::move(file.fd));
      post.child->channel->send(wire::OpenedFile{ask->request, file.error}, std::move(fds));
      return;
    }
    case wire::Reloaded::kType:
      if (const auto done = decode<wire::Reloaded>(m.payload); done && !done->ok && post.wanted) {
        // It takes its settings at its start only: drained, and started anew at once.
        post.replace = true;
        fleet_->drain(post, current_->checked.plan.stop_timeout);
      }
      return;
    case wire::Stats::kType:
      if (const auto stats = decode<wire::Stats>(m.payload)) on_stats(post, *stats);
      return;
    case wire::PluginCalled::kType:
      if (auto called = decode<wire::PluginCalled>(m.payload)) on_called(post, std::move(*called));
      return;
    case wire::Command::kType:
      if (const auto command = decode<wire::Command>(m.payload); command && post.kind == wire::RoleKind::Control)
        on_command(post, *command);
      return;
    case wire::LogWanted::kType:
      if (const auto order = decode<wire::LogWanted>(m.payload); order && post.kind == wire::RoleKind::Queue)
        want_log(*order);
      return;
    case wire::LogLines::kType:
      if (post.event.empty()) relay_log(m.payload);
      return;
    default:
      log_.warn("unknown message", {{"role", post.name}, {"type", m.type}});
      return;
  }
}

void Supervisor::want_log(const wire::LogWanted &order) {
  log_wanted_ = order.wanted;
  teller_.wanted(order.wanted);
  fleet_->broadcast(order);
}

// They are passed on as they are. Whoever sent them does not hear what became of them; so what is lost is counted here,
// and its number goes with the next.
void Supervisor::relay_log(std::string_view lines) {
  auto *const queue = fleet_ ? fleet_->queue() : nullptr;
  if (queue && queue->child && queue->child->serving() && queue->child->channel->queued_bytes() < kLogBehind) {
    auto &channel = *queue->child->channel;
    if (log_lost_ > 0 && channel.send(wire::LogLines{{}, log_lost_})) log_lost_ = 0;
    if (channel.send_raw(wire::LogLines::kType, lines)) return;
  }
  if (const auto lost = decode<wire::LogLines>(lines)) log_lost_ += lost->lines.size() + lost->dropped;
}

void Supervisor::answer(Reply to, bool ok, std::string json) {
  for (auto &p : fleet_->posts())
    if (p.kind == wire::RoleKind::Control && p.child && p.child->slot == to.first)
      return (void)p.child->channel->send(wire::CommandResult{to.second, ok, std::move(json)});
}

void Supervisor::on_command(Post &post, const wire::Command &command) {
  const Reply to{post.child->slot, command.request};
  if (command.verb == "processes") return answer(to, true, processes_json());
  if (command.verb == "stats") return gather_stats(post, command.request);
  if (command.verb == "plugin-call") return call_plugin(command, to);
  if (command.verb == "reload") {
    reload_replies_.push_back(to);
    return request_reload();
  }
  if (command.verb == "reopen-log") {
    reopen_log();
    return answer(to, true, "{}");
  }
  if (command.verb == "stop") {
    answer(to, true, "{}");
    return request_stop();
  }
  answer(to, false, R"({"error":"unknown order"})");
}

std::string Supervisor::processes_json() {
  constexpr std::string_view states[] = {"starting", "ready", "draining"};
  auto out = fmt::format(R"({{"epoch":{},"uptime_seconds":{},"connections":{},"listeners":[)", current_->epoch,
                         (clock_.mono() - born_) / kSecond, shared_->connections());
  bool first = true;
  for (const auto &l : listeners_.all()) {
    if (!std::exchange(first, false)) out += ',';
    out += R"({"name":)";
    append_json_string(out, l.listener);
    out += R"(,"address":)";
    append_json_string(out, l.shown);
    out += '}';
  }
  out += R"(],"processes":[)";
  first = true;
  for (const auto &p : fleet_->posts()) {
    if (!p.wanted && !p.child) continue;
    if (!std::exchange(first, false)) out += ',';
    out += R"({"name":)";
    append_json_string(out, p.name);
    if (p.child)
      fmt::format_to(std::back_inserter(out), R"(,"state":"{}","pid":{},"epoch":{},"age_seconds":{})",
                     states[static_cast<int>(p.child->state)], p.child->self.pid, p.child->self.generation,
                     (clock_.mono() - p.child->started) / kSecond);
    else
      out += R"(,"state":"dead","pid":0)";
    fmt::format_to(std::back_inserter(out), R"(,"crashes":{})", p.deaths);
    if (!p.last_failure.empty() && p.wanted) {
      out += R"(,"last_end":)";
      append_json_string(out, p.last_failure);
    }
    out += '}';
  }
  return out + "]}";
}

void Supervisor::gather_stats(Post &post, std::uint32_t request) {
  const auto round = std::make_shared<StatsRound>(loop_);
  round->number = ++rounds_;
  round->to = {post.child->slot, request};
  for (auto &p : fleet_->posts())
    if (p.child && p.child->serving() && p.child->channel->send(wire::StatsRequest{round->number}))
      round->waiting.push_back(p.child->slot);
  wire::Stats own{
      request, false, {}, {{"mansio_connections", shared_->connections()}, {"mansio_config_epoch", current_->epoch}}};
  own.from.name = "supervisor";
  for (const auto &p : fleet_->posts())
    if (p.wanted && p.generation == current_)  // not of a reload that is under way: they have the same names
      own.values.emplace_back(fmt::format("mansio_process_crashes_total{{role=\"{}\"}}", p.name), p.deaths);
  post.child->channel->send(own);
  stats_.push_back(round);
  // Who is busy, or dies meanwhile, is left out.
  round->timer.expires_after(kStatsLimit);
  round->timer.async_wait([this, round](ErrorCode) {
    if (std::erase(stats_, round) != 0) answer(round->to, true, "{}");
  });
}

void Supervisor::on_stats(Post &post, const wire::Stats &stats) {
  const auto found =
      std::find_if(stats_.begin(), stats_.end(), [&](const auto &r) { return r->number == stats.request; });
  if (found == stats_.end()) return;
  const auto round = *found;
  for (auto &p : fleet_->posts())
    if (p.kind == wire::RoleKind::Control && p.child && p.child->slot == round->to.first) {
      auto passed_on = stats;
      passed_on.request = round->to.second;
      p.child->channel->send(passed_on);
    }
  if (stats.more) return;
  std::erase(round->waiting, post.child->slot);
  if (round->waiting.empty()) round->timer.cancel();  // answers
}

void Supervisor::request_stop() {
  ++stop_requests_;
  if (stop_requests_ == 2) log_.warn("told to stop again: hurrying");
  wake();
}

void Supervisor::request_reload() {
  reload_wanted_ = true;
  wake();
}

void Supervisor::reopen_log() {
  auto fd = open_log(log_target_);
  if (!fd) {
    log_.error("log not reopened", {{"reason", fd.error().text}});
    return;
  }
  log_fd_ = std::move(*fd);
  const auto copy = [this]() -> io::UniqueFd { return io::UniqueFd{::fcntl(log_fd_.get(), F_DUPFD_CLOEXEC, 0)}; };
  output_->reopen(copy());
  if (!fleet_) return;
  for (auto &p : fleet_->posts()) {
    if (!p.child || !p.child->serving()) continue;
    std::vector<io::UniqueFd> fds;
    fds.push_back(copy());
    if (fds.front()) p.child->channel->send(wire::ReopenLog{}, std::move(fds));
  }
}

}  // namespace mansio::supervisor
