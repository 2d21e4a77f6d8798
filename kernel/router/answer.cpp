#include "kernel/router/answer.hpp"

#include <utility>

namespace mansio::router {
namespace {

constexpr std::size_t kRouteBytes = 32 * 1024;  // of routes and refusals in one answer
constexpr std::size_t kEach = 24;               // of numbers and lengths with each

}  // namespace

wire::RouteReply answer(const wire::RouteRequest &request, const route::RouteTable &routes,
                        std::uint32_t config_epoch) {
  wire::RouteReply reply;
  reply.request = request.request;
  reply.id = request.id;
  reply.config_epoch = config_epoch;
  std::size_t bytes = 0;
  for (const auto &[index, address] : request.recipients) {
    if (bytes > kRouteBytes) {
      reply.refusals.push_back({index, {4, 3, 0}, "not routed yet"});
      continue;
    }
    auto decision = routes.route(request.sender, address);
    if (!decision.refusal) {
      bytes += kEach + decision.route.transport.size() + decision.route.nexthop.size();
      reply.routes.emplace_back(index, std::move(decision.route));
    } else {
      bytes += kEach + decision.refusal->text.size();
      reply.refusals.push_back({index, decision.refusal->enhanced, std::move(decision.refusal->text)});
    }
  }
  return reply;
}

}  // namespace mansio::router
