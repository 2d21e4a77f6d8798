#include "kernel/host/queue_policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "kernel/config/syntax.hpp"
#include "kernel/host/stage_rules.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/spool/wait.hpp"
#include "mansio/draft/filter.h"

namespace mansio::host {
namespace {

using wire::PolicyAction;
using wire::PolicyWord;
using wire::QueueStage;

static_assert(static_cast<int>(QueueStage::Route) == MANSIO_STAGE_ROUTE &&
                  static_cast<int>(QueueStage::PreDelivery) == MANSIO_STAGE_PRE_DELIVERY &&
                  static_cast<int>(QueueStage::Retry) == MANSIO_STAGE_RETRY &&
                  static_cast<int>(QueueStage::Bounce) == MANSIO_STAGE_BOUNCE,
              "the two lists of stages agree");

constexpr std::size_t kQueueStages = MANSIO_STAGE_BOUNCE - MANSIO_STAGE_ROUTE + 1;
constexpr std::string_view kHostOfPolicy = "host.policy.";
constexpr std::size_t kMostWaiting = 10'000;  // questions for one policy that wait for their turn
constexpr Nanos kLongestAnswer =
    60 * kSecond;  // of an answer, so that a request for routes ends before the queue asks anew

Nanos time_limit(const config::Filter &policy) { return std::min(policy.command_timeout, kLongestAnswer); }

// For the log.
std::string shown(const PolicyWord &word) {
  static constexpr std::string_view kNames[] = {"none", "defer", "fail", "hold", "discard", "route", "redirect"};
  std::string out{kNames[static_cast<std::size_t>(word.action)]};
  const auto put = [&](std::string_view before, const std::string &what) {
    if (!what.empty()) out.append(before).append(what);
  };
  put(" to ", word.address);
  put(" transport ", word.route.transport);
  put(" nexthop ", word.route.nexthop);
  put(" pool ", word.source_pool);
  if (word.retry > 0) out += fmt::format(" for {} s", static_cast<double>(word.retry) / kSecond);
  put(" ", to_string(word.enhanced));
  put(": ", word.text);
  return out;
}

// What an answer decides; nothing: it makes no sense, and `why` says so.
std::optional<PolicyWord> word_of(wire::StageResult &&result, QueueStage stage, const config::Settings &settings,
                                  std::string &why) {
  PolicyWord word;
  word.text = printable(result.text, false);
  const auto refuses = [&](PolicyAction action, std::uint8_t cls) {
    word.action = action;
    word.enhanced = result.enhanced;
    if (word.enhanced.subject != 0 || word.enhanced.detail != 0) word.enhanced.cls = cls;
  };
  switch (result.outcome) {
    case wire::StageOutcome::Ok:
      break;
    case wire::StageOutcome::Skip:
      return PolicyWord{};
    case wire::StageOutcome::Defer:
      refuses(PolicyAction::Defer, 4);
      word.retry = result.retry;
      return word;
    case wire::StageOutcome::Fail:
      if (stage == QueueStage::Bounce) {
        why = "it refused a notification, which may be discarded, redirected or deferred";
        return std::nullopt;
      }
      refuses(PolicyAction::Fail, 5);
      return word;
    case wire::StageOutcome::Failed:
      why = std::move(result.text);
      return std::nullopt;
  }
  // The strongest of what it wants counts; what it says of a way twice, the last time.
  for (auto &edit : result.edits) {
    const auto stronger = [&](PolicyAction action) {
      const bool first = word.action != PolicyAction::Hold && word.action != PolicyAction::Discard;
      if (first || (action == PolicyAction::Hold && word.action == PolicyAction::Discard)) {
        word.action = action;
        word.text = std::move(edit.value);
      }
    };
    const auto set = [&](PolicyAction action) {
      if (word.action != PolicyAction::Hold && word.action != PolicyAction::Discard) word.action = action;
    };
    switch (edit.kind) {
      case EditKind::Hold:
        stronger(PolicyAction::Hold);
        break;
      case EditKind::Discard:
        stronger(PolicyAction::Discard);
        break;
      case EditKind::Route:
        set(PolicyAction::Route);
        word.route = {std::move(edit.name), std::move(edit.value)};
        break;
      case EditKind::SourcePool:
        set(PolicyAction::Route);
        word.source_pool = std::move(edit.value);
        break;
      case EditKind::Redirect:
        set(PolicyAction::Redirect);
        word.address = std::move(edit.value);
        break;
      default:
        break;
    }
  }
  if (!word.route.transport.empty() && !settings.transport(word.route.transport)) {
    why = fmt::format("it names a transport that is not configured: {}", printable(word.route.transport, false));
    return std::nullopt;
  }
  if (!word.route.nexthop.empty() && !config::kNexthop.canonical(word.route.nexthop)) {
    why = fmt::format("it names a next hop that is none, expected {}", config::kNexthop.expected);
    return std::nullopt;
  }
  return word;
}

}  // namespace

wire::StageCall queue_call(QueueStage stage, MessageId id, const std::string &sender, const wire::MailFacts &facts,
                           const Route &route, std::optional<std::uint32_t> attempts) {
  wire::StageCall call;
  call.stage = static_cast<std::uint32_t>(stage);
  call.id = id;
  const auto put = [&](const char *name, std::string value) {
    if (!value.empty()) call.macros.emplace_back(name, std::move(value));
  };
  call.macros.emplace_back("sender", sender);  // "" is the null sender
  put("client_address", facts.client_address);
  put("client_name", facts.client_name);
  put("helo_name", facts.helo);
  put("protocol", facts.protocol);
  put("listener", facts.listener);
  put("auth_user", facts.auth_user);
  put("tenant", facts.tenant);
  put("campaign", facts.campaign);
  put("source_pool", facts.source_pool);
  put("priority", std::to_string(static_cast<std::int8_t>(facts.priority)));
  put("size", std::to_string(facts.size));
  put("arrival", std::to_string(facts.arrival / kSecond));
  if (attempts) put("attempts", std::to_string(*attempts));
  put("transport", route.transport);
  put("nexthop", route.nexthop);
  call.message_meta = facts.metadata;
  return call;
}

struct QueuePolicies::Question {
  wire::StageCall call;
  Done done;
  QueueStage stage = QueueStage::Route;
  std::size_t next = 0;     // of the policies
  std::uint64_t timer = 0;  // while it waits for its turn with one
  bool over = false;        // it has waited too long
};

QueuePolicies::Link::Link(std::string n, const config::Filter &s, std::unique_ptr<RemoteFilter> i)
    : name(std::move(n)),
      settings(s),
      instance(std::move(i)),
      breakers(kQueueStages, Breaker{s.budget.breaker_deaths, s.budget.breaker_window, s.budget.breaker_time}) {}

Breaker &QueuePolicies::Link::breaker(QueueStage stage) {
  return breakers.at(static_cast<std::size_t>(stage) - MANSIO_STAGE_ROUTE);
}

QueuePolicies::QueuePolicies(asio::io_context &loop, const Clock &clock, Logger &log, const config::Settings &settings)
    : loop_(loop), clock_(clock), log_(log), settings_(settings), timers_(loop) {
  for (const auto &name : settings.queue.policies) {
    const auto *policy = settings.policy(name);
    if (!policy) continue;  // refused when the configuration was checked
    auto instance = std::make_unique<RemoteFilter>(loop, clock, "policy", policy->name, policy->budget.in_flight_limit);
    auto &link = links_.emplace_back(std::make_unique<Link>("policy." + policy->name, *policy, std::move(instance)));
    link->instance->on_stages([this, at = link.get()] { said_stages(*at); });
  }
}

QueuePolicies::~QueuePolicies() = default;

bool QueuePolicies::attach(std::string_view host, std::shared_ptr<io::Channel> channel) {
  if (!host.starts_with(kHostOfPolicy)) return false;
  const auto name = host.substr(kHostOfPolicy.size());
  for (const auto &link : links_) {
    if (link->settings.name != name) continue;
    link->instance->attach(std::move(channel));
    return true;
  }
  return false;
}

std::uint64_t QueuePolicies::stages() const {
  std::uint64_t all = 0;
  for (const auto &link : links_) all |= link->instance->stages();
  return all & wire::kAllQueueStages;
}

void QueuePolicies::said_stages(Link &link) {
  if ((link.instance->stages() & wire::kAllQueueStages) == 0 && !std::exchange(link.told, true))
    log_.warn("this policy of the queue handles no event of the queue", {{"policy", link.name}});
  if (changed_) changed_();
}

void QueuePolicies::ask(QueueStage stage, wire::StageCall call, Done done) {
  const auto question = std::make_shared<Question>();
  question->stage = stage;
  question->call = std::move(call);
  question->done = std::move(done);
  question->call.macros.emplace_back("myhostname", settings_.myhostname);
  go_on(question);
}

Task<PolicyWord> QueuePolicies::ask(QueueStage stage, wire::StageCall call) {
  struct Heard {
    PolicyWord word;
    spool::Event done;
  };
  const auto answer = std::make_shared<Heard>();
  ask(stage, std::move(call), [answer, &loop = loop_](PolicyWord &&word) {
    answer->word = std::move(word);
    answer->done.set(loop);
  });
  co_await answer->done.wait();
  co_return std::move(answer->word);
}

void QueuePolicies::go_on(const std::shared_ptr<Question> &question) {
  while (question->next < links_.size()) {
    auto &link = *links_[question->next];
    if ((link.instance->stages() & wire::bit_of(question->stage)) == 0) {
      ++question->next;
      continue;
    }
    if (link.instance->in_flight() < link.settings.budget.in_flight_limit) return start(link, question);
    if (link.waiting.size() >= kMostWaiting) return failed(link, question, "it has too much to do");
    question->timer = timers_.add(time_limit(link.settings), [this, question, at = &link] {
      question->timer = 0;
      question->over = true;
      failed(*at, question, "it had too much to do all the time");
    });
    link.waiting.push_back(question);
    return;
  }
  question->done(PolicyWord{});
}

void QueuePolicies::start(Link &link, const std::shared_ptr<Question> &question) {
  if (!link.breaker(question->stage).allows(clock_.mono())) {
    next_turn(link);
    return failed(link, question, {});
  }
  auto call = question->call;
  call.time_limit = call.total_limit = time_limit(link.settings);
  link.instance->start(
      std::move(call), nullptr,
      [this, question, at = &link, alive = std::weak_ptr{alive_}](wire::StageResult &&result) {
        if (!alive.expired()) answered(*at, question, std::move(result));
      },
      nullptr);
}

void QueuePolicies::answered(Link &link, const std::shared_ptr<Question> &question, wire::StageResult &&result) {
  std::string why;
  auto word = word_of(std::move(result), question->stage, settings_, why);
  auto &breaker = link.breaker(question->stage);
  const auto stage = stage_name(question->call.stage);
  if (word) {
    if (breaker.open())
      log_.info("breaker closed: the policy answers again", {{"policy", link.name}, {"stage", stage}});
    breaker.succeeded();
  } else if (breaker.failed(clock_.mono())) {
    log_.error("breaker open: the policy keeps failing and is not asked for a while; on_failure answers",
               {{"policy", link.name}, {"stage", stage}, {"reason", why}});
  }
  next_turn(link);
  if (!word) return failed(link, question, why.empty() ? "it failed" : std::move(why));
  if (word->action == PolicyAction::None) {
    ++question->next;
    return go_on(question);
  }
  ++decisions_;
  word->policy = link.name;
  log_.info("decided by a policy", {{"qid", question->call.id},
                                    {"policy", link.name},
                                    {"stage", stage_name(question->call.stage)},
                                    {"to", question->call.arguments.empty() ? "" : question->call.arguments.front()},
                                    {"decision", shown(*word)}});
  question->done(std::move(*word));
}

// There may be room for others. Not from within the one before it: each may end at once.
void QueuePolicies::next_turn(Link &link) {
  if (link.waiting.empty()) return;
  asio::post(loop_, [this, at = &link, alive = std::weak_ptr{alive_}] {
    while (!alive.expired() && !at->waiting.empty() &&
           at->instance->in_flight() < at->settings.budget.in_flight_limit) {
      const auto next = std::move(at->waiting.front());
      at->waiting.pop_front();
      if (next->over) continue;
      timers_.cancel(std::exchange(next->timer, 0));
      start(*at, next);
    }
  });
}

// What on_failure says. `why` empty: it was not even asked, which has been said.
void QueuePolicies::failed(Link &link, const std::shared_ptr<Question> &question, std::string why) {
  ++failures_;
  auto on_failure = link.settings.budget.on_failure;
  if (question->stage == QueueStage::Retry && on_failure == config::OnFailure::Defer)
    on_failure = config::OnFailure::Skip;
  if (question->stage == QueueStage::Bounce && on_failure == config::OnFailure::Hold)
    on_failure = config::OnFailure::Defer;
  constexpr std::string_view kWhat[] = {"defer", "skip", "hold"};
  if (!why.empty())
    log_.warn("policy failed", {{"qid", question->call.id},
                                {"policy", link.name},
                                {"stage", stage_name(question->call.stage)},
                                {"reason", why},
                                {"on_failure", kWhat[static_cast<int>(on_failure)]}});
  if (on_failure == config::OnFailure::Skip) {
    ++question->next;
    return go_on(question);
  }
  PolicyWord word;
  word.policy = link.name;
  word.failed = true;
  if (on_failure == config::OnFailure::Hold) {
    word.action = PolicyAction::Hold;
    word.text = "failed: " + (why.empty() ? "it keeps failing and is not asked for a while" : std::move(why));
  } else {
    word.action = PolicyAction::Defer;
    word.enhanced = {4, 3, 0};
    word.text = "a check could not be made";  // this may be read by senders
  }
  question->done(std::move(word));
}

void QueuePolicies::stats(const StatsSink &add) const {
  if (links_.empty()) return;
  add("mansio_queue_policy_decisions_total", static_cast<double>(decisions_));
  add("mansio_queue_policy_failures_total", static_cast<double>(failures_));
  for (const auto &link : links_) link->instance->stats(add);
}

}  // namespace mansio::host
