#include "kernel/router/answer.hpp"

#include <utility>

namespace mansio::router {
namespace {

constexpr std::size_t kRouteBytes = 32 * 1024;  // of routes and refusals in one answer
constexpr std::size_t kEach = 24;               // of numbers and lengths with each

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
    bytes_ += kEach + decision.refusal->text.size();
    reply_.refusals.push_back({recipient, decision.refusal->enhanced, std::move(decision.refusal->text)});
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
