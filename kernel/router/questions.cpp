#include "kernel/router/questions.hpp"

#include "kernel/host/queue_policies.hpp"

namespace mansio::router {

wire::StageCall route_question(const wire::RouteRequest &request, std::size_t which, const Route &route) {
  auto call =
      host::queue_call(wire::QueueStage::Route, request.id, request.sender, request.facts, route, request.attempts);
  call.arguments.push_back(request.recipients[which].second);
  return call;
}

}  // namespace mansio::router
