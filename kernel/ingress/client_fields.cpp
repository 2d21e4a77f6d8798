#include "kernel/ingress/client_fields.hpp"

#include <algorithm>

#include "kernel/ingress/priority.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kHeaderLookedAt = 64 * 1024;
constexpr std::size_t kLongestCampaign = 255;

}  // namespace

void ClientFields::feed(std::string_view canonical, ContentScanner &scanner) {
  const auto before = scanner.header_size();
  const bool asks = !campaign_.empty() || !priority_.empty();
  const bool looks = asks && scanner.in_header() && header_.size() < kHeaderLookedAt;
  scanner.feed(canonical);
  if (looks && scanner.header_size() > before)
    header_ += canonical.substr(0, static_cast<std::size_t>(scanner.header_size() - before));
}

std::string ClientFields::campaign() const {
  if (campaign_.empty()) return {};
  auto value = find_header(header_, campaign_).value_or("");
  const bool control =
      std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || value.size() > kLongestCampaign || !valid_utf8(value)) value.clear();
  return value;
}

std::optional<int> ClientFields::priority() const {
  if (priority_.empty()) return std::nullopt;
  const auto value = find_header(header_, priority_);
  auto priority = value ? priority_of_field(priority_, *value) : std::nullopt;
  if (priority && !may_ask_for(*priority, known_)) priority = 0;
  return priority;
}

}  // namespace mansio::ingress
