#include "kernel/router/questions.hpp"

#include <optional>
#include <string_view>

#include "kernel/host/queue_policies.hpp"

namespace mansio::router {
namespace {

// A recipient and what was last said of it, as four arguments.
void put_reported(wire::StageCall &call, const std::string &address, std::uint16_t smtp_code, EnhancedStatus enhanced,
                  const std::string &text) {
  call.arguments.push_back(address);
  call.arguments.push_back(smtp_code == 0 ? std::string{} : std::to_string(smtp_code));
  call.arguments.push_back(to_string(enhanced));
  call.arguments.push_back(text);
}

std::string_view name_of(wire::DsnKind kind) {
  switch (kind) {
    case wire::DsnKind::Failure:
      return "failure";
    case wire::DsnKind::Delay:
      return "delay";
    case wire::DsnKind::Success:
      return "success";
    case wire::DsnKind::PostmasterCopy:
      return "postmaster_copy";
    case wire::DsnKind::PostmasterDelay:
      break;
  }
  return "postmaster_delay";
}

}  // namespace

wire::StageCall route_question(const wire::RouteRequest &request, std::size_t which, const Route &route) {
  auto call =
      host::queue_call(wire::QueueStage::Route, request.id, request.sender, request.facts, route, request.attempts);
  call.arguments.push_back(request.recipients[which].second);
  return call;
}

wire::StageCall retry_question(const wire::RetryRequest &request) {
  auto call = host::queue_call(wire::QueueStage::Retry, request.id, request.sender, request.facts, request.route,
                               request.attempts);
  call.macros.emplace_back("retry_after", std::to_string(request.wait / kSecond));
  for (const auto &r : request.recipients) put_reported(call, r.address, r.smtp_code, r.enhanced, r.text);
  return call;
}

wire::StageCall bounce_question(const wire::DsnRequest &request) {
  auto call =
      host::queue_call(wire::QueueStage::Bounce, request.parent.id, request.sender, request.facts, {}, std::nullopt);
  call.macros.emplace_back("kind", name_of(request.kind));
  call.macros.emplace_back("to", request.to);
  for (const auto &r : request.recipients)
    put_reported(call, r.address, r.outcome.smtp_code, r.outcome.enhanced, r.outcome.text);
  return call;
}

}  // namespace mansio::router
