// Where recipients go now: what the router answers when the queue asks for their routes again, or for the first time
// where policies have a say in them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel/route/route_table.hpp"
#include "kernel/wire/policy_messages.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// Fits in a message, whatever was asked: recipients for whose routes there is no room are to be asked for later.
class Answer {
 public:
  Answer(const wire::RouteRequest &request, std::uint32_t config_epoch);
  bool full() const;  // whatever is added now is "later"
  void add(std::uint32_t recipient, route::RouteDecision decision);
  // The same after a policy has spoken about that decision, which is no refusal.
  void add(std::uint32_t recipient, route::RouteDecision decision, const wire::PolicyWord &word);
  const wire::RouteReply &reply() const { return reply_; }

 private:
  void refuse(wire::RouteRefusal refusal);

  wire::RouteReply reply_;
  std::size_t bytes_ = 0;
};

Answer answer(const wire::RouteRequest &request, const route::RouteTable &routes, std::uint32_t config_epoch);
// All of them to the content filter.
Answer answer(const wire::RouteRequest &request, const Route &filter, std::uint32_t config_epoch);
// Nobody has a way.
Answer answer(const wire::RouteRequest &request, const route::Refusal &refusal, std::uint32_t config_epoch);

}  // namespace mansio::router
