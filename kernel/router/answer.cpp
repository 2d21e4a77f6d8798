#include "kernel/router/answer.hpp"

#include <utility>

namespace mansio::router {
namespace {

constexpr std::size_t kRouteBytes = 32 * 1024;  // of routes and refusals in one answer
constexpr std::size_t kEach = 24;               // of numbers and lengths with each

// "policy.quota: too much"
std::string reason_of(const wire::PolicyWord &word) {
  return word.text.empty() ? word.policy : word.policy + ": " + word.text;
}

}  // namespace

Answer::Answer(const wire::RouteRequest &request, std::uint32_t config_epoch) {
  reply_.request = request.request;
  reply_.id = request.id;
  reply_.config_epoch = config_epoch;
}

bool Answer::full() const { return bytes_ > kRouteBytes; }

void Answer::add(std::uint32_t recipient, route::RouteDecision decision) {
  if (full()) {
    reply_.refusals.push_back({recipient, {4, 3, 0}, "not routed yet"});
  } else if (!decision.refusal) {
    bytes_ += kEach + decision.route.transport.size() + decision.route.nexthop.size();
    reply_.routes.emplace_back(recipient, std::move(decision.route));
  } else {
    refuse({recipient, decision.refusal->enhanced, std::move(decision.refusal->text)});
  }
}

void Answer::refuse(wire::RouteRefusal refusal) {
  bytes_ += kEach + refusal.text.size();
  reply_.refusals.push_back(std::move(refusal));
}

void Answer::add(std::uint32_t recipient, route::RouteDecision decision, const wire::PolicyWord &word) {
  const auto said = [&](std::string_view otherwise) { return word.text.empty() ? std::string{otherwise} : word.text; };
  const auto code = [&](std::uint8_t cls) { return word.enhanced.empty() ? EnhancedStatus{cls, 7, 1} : word.enhanced; };
  if (full()) return add(recipient, std::move(decision));
  switch (word.action) {
    case wire::PolicyAction::Defer:
      return refuse({recipient, code(4), said("Deferred by policy"), word.retry, false});
    case wire::PolicyAction::Fail:
      return refuse({recipient, code(5), said("Rejected by policy"), 0, false});
    case wire::PolicyAction::Discard:
      return refuse({recipient, {2, 0, 0}, "discarded by " + reason_of(word), 0, true});
    case wire::PolicyAction::Hold:  // it goes as it would have, once somebody has released it
      if (reply_.hold.empty()) reply_.hold = "by " + reason_of(word);
      return add(recipient, std::move(decision));
    case wire::PolicyAction::Route: {
      auto &route = decision.route;
      if (!word.route.transport.empty()) route.transport = word.route.transport;
      if (!word.route.transport.empty() || !word.route.nexthop.empty()) route.nexthop = word.route.nexthop;
      if (!word.source_pool.empty()) {
        bytes_ += kEach + word.source_pool.size();
        reply_.pools.emplace_back(recipient, word.source_pool);
      }
      return add(recipient, std::move(decision));
    }
    case wire::PolicyAction::None:
    case wire::PolicyAction::Redirect:
      return add(recipient, std::move(decision));
  }
}

Answer answer(const wire::RouteRequest &request, const route::RouteTable &routes, std::uint32_t config_epoch) {
  Answer said{request, config_epoch};
  for (const auto &[index, address] : request.recipients)
    said.add(index, said.full() ? route::RouteDecision{} : routes.route(request.sender, address));
  return said;
}

Answer answer(const wire::RouteRequest &request, const Route &filter, std::uint32_t config_epoch) {
  Answer said{request, config_epoch};
  for (const auto &recipient : request.recipients) {
    route::RouteDecision decision;
    decision.route = filter;
    said.add(recipient.first, std::move(decision));
  }
  return said;
}

Answer answer(const wire::RouteRequest &request, const route::Refusal &refusal, std::uint32_t config_epoch) {
  Answer said{request, config_epoch};
  for (const auto &recipient : request.recipients) {
    route::RouteDecision decision;
    decision.refusal = refusal;
    said.add(recipient.first, std::move(decision));
  }
  return said;
}

}  // namespace mansio::router
