#include "plugins/transport-http/status.hpp"

#include <algorithm>

#include "plugins/transport-common/reason.hpp"

namespace mansio::http {
namespace {

using plugin::Enhanced;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kLongestRetry = 7 * 86'400;  // what is asked for beyond that is not listened to
constexpr std::size_t kMaxText = 500;

bool deferred(int status) {
  constexpr int kLater[] = {401, 407, 408, 425, 429};
  return status < 400 || status >= 500 || std::find(std::begin(kLater), std::end(kLater), status) != std::end(kLater);
}

Enhanced enhanced_of(int status) {
  switch (status) {
    case 401:
    case 407:
      return {4, 7, 8};  // authentication credentials invalid
    case 408:
      return {4, 4, 2};
    case 413:
      return {5, 3, 4};
    case 429:
    case 503:
      return {4, 3, 2};
    default:
      return {static_cast<std::uint16_t>(deferred(status) ? 4 : 5), 3, 0};
  }
}

}  // namespace

plugin::Reply reply_for(const Response &response) {
  auto text = "HTTP " + std::to_string(response.status);
  if (response.retry_after > 0) text += ", retry after " + std::to_string(response.retry_after) + " s";
  const auto reason = transport::parse_reason(response.body);
  auto said = reason ? reason->text : std::string_view{response.body};
  while (!said.empty() && (said.back() == '\n' || said.back() == '\r')) said.remove_suffix(1);
  if (!said.empty()) text += ": " + std::string{said.substr(0, kMaxText)};
  if (response.status / 100 == 2) return plugin::sent(std::move(text));
  const bool later = deferred(response.status);
  const auto enhanced =
      reason && (reason->enhanced.cls == 4) == later ? reason->enhanced : enhanced_of(response.status);
  if (!later) return plugin::bounce(enhanced, std::move(text));
  auto reply = plugin::defer(enhanced, std::move(text));
  return reply.retry(std::clamp<std::int64_t>(response.retry_after, 0, kLongestRetry) * kSecond);
}

}  // namespace mansio::http
