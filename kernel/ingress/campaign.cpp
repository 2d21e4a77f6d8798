#include "kernel/ingress/campaign.hpp"

#include <algorithm>

#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kHeaderLookedAt = 64 * 1024;
constexpr std::size_t kLongestCampaign = 255;

}  // namespace

void CampaignField::feed(std::string_view canonical, ContentScanner &scanner) {
  const auto before = scanner.header_size();
  const bool looks = !name_.empty() && scanner.in_header() && header_.size() < kHeaderLookedAt;
  scanner.feed(canonical);
  if (looks && scanner.header_size() > before)
    header_ += canonical.substr(0, static_cast<std::size_t>(scanner.header_size() - before));
}

std::string CampaignField::value() const {
  if (name_.empty()) return {};
  auto value = find_header(header_, name_).value_or("");
  const bool control =
      std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || value.size() > kLongestCampaign || !valid_utf8(value)) value.clear();
  return value;
}

}  // namespace mansio::ingress
