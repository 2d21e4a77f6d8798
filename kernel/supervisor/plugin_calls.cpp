// Commands of plugins (`mansio plugin call`): an instance may run in several processes, of which the supervisor knows
// nothing but that they are there. Each is asked, and what those say that have it is one answer.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel/supervisor/supervisor.hpp"

namespace mansio::supervisor {
namespace {

constexpr Nanos kCommandLimit = 20 * kSecond;          // of a plugin
constexpr auto kCallLimit = std::chrono::seconds{25};  // of a process, to say so
constexpr std::size_t kMostOfAnswers = 48 * 1024;      // octets: it has to fit in one message
constexpr std::size_t kMostCalls = 64;                 // under way

bool may_run_plugins(const Post &post) {
  return post.kind == wire::RoleKind::Ingress || post.kind == wire::RoleKind::Egress ||
         post.kind == wire::RoleKind::Router || post.kind == wire::RoleKind::Host;
}

std::string error_json(std::string_view why) {
  std::string out = R"({"error":)";
  append_json_string(out, why);
  return out + '}';
}

std::string list_json(const std::vector<std::string> &values) {
  std::string out = "[";
  for (const auto &value : values) {
    if (out.size() > 1) out += ',';
    append_json_string(out, value);
  }
  return out + ']';
}

}  // namespace

struct Supervisor::CallRound {
  explicit CallRound(asio::io_context &loop) : timer(loop) {}
  std::uint32_t number = 0;
  Reply to{};
  std::string instance, command;
  std::vector<std::pair<std::uint32_t, std::string>> waiting;  // slots, and what they are called
  std::string answers;                                         // of those that have it, as JSON
  bool here = false;                                           // somebody has the instance ...
  std::vector<std::string> others;                             // ... and these commands
  asio::steady_timer timer;
};

void Supervisor::call_plugin(const wire::Command &command, Reply to) {
  if (command.arguments.size() < 2) return answer(to, false, error_json("a call needs an instance and a command"));
  if (calls_.size() >= kMostCalls) return answer(to, false, error_json("too many calls are under way"));
  const auto round = std::make_shared<CallRound>(loop_);
  round->number = ++rounds_;
  round->to = to;
  round->instance = command.arguments[0];
  round->command = command.arguments[1];
  wire::PluginCall call;
  call.request = round->number;
  call.instance = round->instance;
  call.command = round->command;
  call.arguments.assign(command.arguments.begin() + 2, command.arguments.end());
  call.time_limit = kCommandLimit;
  // Those that drain have successors.
  for (auto &p : fleet_->posts())
    if (may_run_plugins(p) && p.in_service && p.ready() && p.child->channel->send(call))
      round->waiting.emplace_back(p.child->slot, p.name);
  calls_.push_back(round);
  if (round->waiting.empty()) return end_call(round);
  round->timer.expires_after(kCallLimit);
  round->timer.async_wait([this, weak = std::weak_ptr{round}](ErrorCode e) {
    const auto r = weak.lock();
    if (!e && r) end_call(r);
  });
}

void Supervisor::on_called(const Post &post, wire::PluginCalled &&called) {
  const auto found = std::ranges::find_if(calls_, [&](const auto &r) { return r->number == called.request; });
  if (found == calls_.end()) return;
  const auto round = *found;
  if (std::erase_if(round->waiting, [&](const auto &w) { return w.first == post.child->slot; }) == 0) return;
  if (called.status == wire::CalledStatus::NoCommand) {
    round->here = true;
    round->others = std::move(called.values);
  } else if (called.status != wire::CalledStatus::NotHere) {
    round->here = true;
    std::string one = R"({"process":)";
    append_json_string(one, post.name);
    one += fmt::format(R"(,"ok":{},"text":)", called.status == wire::CalledStatus::Ok);
    append_json_string(one, called.text);
    auto values = list_json(called.values);
    if (round->answers.size() + one.size() + values.size() > kMostOfAnswers) values = R"(["..."])";
    one += R"(,"values":)" + values + '}';
    if (round->answers.size() + one.size() <= kMostOfAnswers)
      round->answers += (round->answers.empty() ? "" : ",") + one;
  }
  if (round->waiting.empty()) end_call(round);
}

// Whoever died, or is busy, has not answered.
void Supervisor::end_call(const std::shared_ptr<CallRound> &round) {
  if (std::erase(calls_, round) == 0) return;
  round->timer.cancel();
  if (!round->answers.empty()) return answer(round->to, true, R"({"answers":[)" + round->answers + "]}");
  std::string why;
  if (round->here) {
    why = fmt::format("{} has no command {}", round->instance, round->command);
    std::string known;
    for (const auto &one : round->others)
      if (known.size() + one.size() < kMostOfAnswers / 2) known += (known.empty() ? "" : "; ") + one;
    why += known.empty() ? ", nor any other" : "; it has " + known;
  } else if (!round->waiting.empty()) {
    why = round->waiting.front().second + " did not answer";
  } else {
    why = "no process has the plugin instance " + round->instance +
          "; it is named as its table, such as filter.spam, and is there once it has started";
  }
  answer(round->to, false, error_json(why));
}

}  // namespace mansio::supervisor
