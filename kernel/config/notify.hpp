// The classes of trouble that `notify_classes` names, with Postfix's names and meanings.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mansio::config {

// A set of classes, one bit each.
using NotifyMask = std::uint32_t;
inline constexpr NotifyMask kNotifyBounce = 1;        // copies of bounces; sessions in which mail was bounced at once
inline constexpr NotifyMask kNotifyDoubleBounce = 2;  // bounces that cannot be delivered
inline constexpr NotifyMask kNotifyData = 4;          // sessions that failed for a data file of ours
inline constexpr NotifyMask kNotifyDelayed = 8;       // copies of delay warnings
inline constexpr NotifyMask kNotifyPolicy = 16;       // sessions in which something was refused by policy
inline constexpr NotifyMask kNotifyProtocol = 32;     // sessions with protocol errors
inline constexpr NotifyMask kNotifyResource = 64;     // mail not taken or not delivered for want of resources
inline constexpr NotifyMask kNotifySoftware = 128;    // ... for trouble in our own programs

NotifyMask notify_class(std::string_view name);  // 0: there is no such class
// "bounce" implies "2bounce". Names that are none are passed over.
NotifyMask notify_mask(std::span<const std::string> names);

}  // namespace mansio::config
