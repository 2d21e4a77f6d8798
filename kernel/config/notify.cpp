#include "kernel/config/notify.hpp"

#include <utility>

namespace mansio::config {

NotifyMask notify_class(std::string_view name) {
  constexpr std::pair<std::string_view, NotifyMask> classes[] = {
      {"bounce", kNotifyBounce},     {"2bounce", kNotifyDoubleBounce}, {"data", kNotifyData},
      {"delay", kNotifyDelayed},     {"policy", kNotifyPolicy},        {"protocol", kNotifyProtocol},
      {"resource", kNotifyResource}, {"software", kNotifySoftware}};
  for (const auto &[known, mask] : classes)
    if (known == name) return mask;
  return 0;
}

NotifyMask notify_mask(std::span<const std::string> names) {
  NotifyMask mask = 0;
  for (const auto &name : names) mask |= notify_class(name);
  if (mask & kNotifyBounce) mask |= kNotifyDoubleBounce;
  return mask;
}

}  // namespace mansio::config
