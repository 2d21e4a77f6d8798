#include "kernel/route/content_filter.hpp"

#include <string>

namespace mansio::route {

std::optional<Route> content_filter(const config::Smtpd &smtpd) {
  const std::string_view text = smtpd.content_filter;
  if (text.empty()) return std::nullopt;
  const auto colon = text.find(':');
  if (colon == text.npos) return Route{std::string{text}, {}};
  return Route{std::string{text.substr(0, colon)}, std::string{text.substr(colon + 1)}};
}

std::optional<Route> content_filter(const config::Settings &settings, std::string_view listener) {
  if (listener.empty()) return std::nullopt;
  const auto *of = settings.listener(listener);
  return content_filter(of ? of->smtpd : settings.smtpd);
}

}  // namespace mansio::route
