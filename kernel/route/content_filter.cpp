#include "kernel/route/content_filter.hpp"

#include <string>

namespace mansio::route {

Route filter_route(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == text.npos) return Route{std::string{text}, {}};
  return Route{std::string{text.substr(0, colon)}, std::string{text.substr(colon + 1)}};
}

std::optional<Route> content_filter(const config::Smtpd &smtpd) {
  if (smtpd.content_filter.empty()) return std::nullopt;
  return filter_route(smtpd.content_filter);
}

std::optional<Route> content_filter(const config::Settings &settings, std::string_view listener) {
  if (listener.empty()) return std::nullopt;
  const auto *of = settings.listener(listener);
  return content_filter(of ? of->smtpd : settings.smtpd);
}

}  // namespace mansio::route
