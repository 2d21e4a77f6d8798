// QueuePolicies: the policies that have a say in what the queue does ([queue] policies), as the router and the delivery
// processes ask them. Each policy has a process of its own; several are asked one after the other, in the order of the
// configuration, until one decides.
//
// Every question ends: with a decision, with none (it goes as it would without policies), or with what on_failure says
// of a policy that did not answer in its time, answered what makes no sense, or is not there. One that keeps failing at
// a stage is not asked there for a while (breaker.hpp). What is asked beyond a policy's in_flight_limit waits for its
// turn, for as long as it would wait for the answer.
//
// Single-threaded, on the loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/host/breaker.hpp"
#include "kernel/host/plugin.hpp"
#include "kernel/host/remote_filter.hpp"
#include "kernel/host/timers.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/wire/policy_messages.hpp"

namespace mansio::host {

// The question itself. `facts` as the queue gave them; more of them may be appended to the call's macros. `attempts`:
// made so far, where that is known.
wire::StageCall queue_call(wire::QueueStage stage, MessageId id, const std::string &sender,
                           const wire::MailFacts &facts, const Route &route, std::optional<std::uint32_t> attempts);

class QueuePolicies {
 public:
  using Done = std::function<void(wire::PolicyWord &&)>;

  // All outlive it.
  QueuePolicies(asio::io_context &loop, const Clock &clock, Logger &log, const config::Settings &settings);
  ~QueuePolicies();
  QueuePolicies(const QueuePolicies &) = delete;
  QueuePolicies &operator=(const QueuePolicies &) = delete;

  // A channel to the host process of that name ("host.policy.NAME"); false: it hosts none of these.
  bool attach(std::string_view host, std::shared_ptr<io::Channel> channel);
  // Which stages of the queue some policy wants to see, wire::bit_of(). One that has not said so yet wants all.
  std::uint64_t stages() const;
  bool wants(wire::QueueStage stage) const { return (stages() & wire::bit_of(stage)) != 0; }
  void on_stages(std::function<void()> changed) { changed_ = std::move(changed); }

  // `done` runs once, on the loop, perhaps before this returns; not at all once this is gone.
  void ask(wire::QueueStage stage, wire::StageCall call, Done done);
  Task<wire::PolicyWord> ask(wire::QueueStage stage, wire::StageCall call);  // outlives what it waits for

  void stats(const StatsSink &add) const;

 private:
  struct Question;
  struct Link {
    Link(std::string n, const config::Filter &s, std::unique_ptr<RemoteFilter> i);
    std::string name;  // "policy.quota"
    const config::Filter &settings;
    std::unique_ptr<RemoteFilter> instance;
    std::vector<Breaker> breakers;                  // one for each stage of the queue
    std::deque<std::shared_ptr<Question>> waiting;  // for their turn; may hold some whose time is over
    bool told = false;                              // that it keeps failing
    Breaker &breaker(wire::QueueStage stage);
  };

  void go_on(const std::shared_ptr<Question> &question);
  void start(Link &link, const std::shared_ptr<Question> &question);
  void next_turn(Link &link);
  void answered(Link &link, const std::shared_ptr<Question> &question, wire::StageResult &&result);
  void failed(Link &link, const std::shared_ptr<Question> &question, std::string why);
  void said_stages(Link &link);

  asio::io_context &loop_;
  const Clock &clock_;
  Logger &log_;
  const config::Settings &settings_;
  Timers timers_;
  std::vector<std::unique_ptr<Link>> links_;
  std::function<void()> changed_;
  std::uint64_t decisions_ = 0, failures_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

}  // namespace mansio::host
