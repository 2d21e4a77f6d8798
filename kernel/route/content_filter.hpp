// Content filters that mail goes through after it is in the queue: what a listener's `content_filter` says replaces the
// routes of all mail that came by it, and the filter brings it back by another listener, which has none or the next.
//
// A message in the queue that is routed again goes to the filter that its listener has by then: what was to be filtered
// never gets round it because a transport went away or somebody requeued it, and a filter that is taken out of the
// configuration lets go of its mail. One that an access table wanted for it (FILTER) the message remembers.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/config/settings.hpp"
#include "kernel/mail/envelope.hpp"

namespace mansio::route {

// "TRANSPORT:NEXTHOP" or "TRANSPORT".
Route filter_route(std::string_view text);
// Null where there is none.
std::optional<Route> content_filter(const config::Smtpd &smtpd);
// Of the listener of that name; of [smtpd] where it is gone. "": of mail that was made here, which is not filtered.
std::optional<Route> content_filter(const config::Settings &settings, std::string_view listener);

}  // namespace mansio::route
