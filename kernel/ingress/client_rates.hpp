// What one client may do in a unit of time at one listener, over all ingress processes: anvil's limits in Postfix.
// Whoever is about to serve an event asks here first; a client of `client_event_limit_exceptions` is never counted.
//
// What was refused counts as well, for this tells how much a client is over; it changes nothing for it, since the
// number starts anew with the next unit of time. An event that the table cannot count is let through. Of all that is
// refused to a client in a unit of time, one log line speaks, of whatever process; how much there was is the metrics'
// to say.
#pragma once

#include <optional>
#include <string_view>

#include "kernel/config/settings.hpp"
#include "kernel/ingress/environment.hpp"
#include "kernel/ingress/reply.hpp"
#include "kernel/process/rates.hpp"

namespace mansio::ingress {

// Do limits for one client leave it alone?
bool exempt(const config::Smtpd &smtpd, const Client &client);

// Counts the event; a reply: it is one too many, and that is what the client is to hear. After a 421 the session ends.
std::optional<Reply> over_rate(const Environment &env, Service &service, const Client &client,
                               process::ClientEvent event);
// Would the next be one too many? Counts only one that would, for events of which one knows later that they happened.
std::optional<Reply> at_rate(const Environment &env, Service &service, const Client &client,
                             process::ClientEvent event);

std::string_view event_name(process::ClientEvent event);  // "connection", "new_tls_session", as in metrics

}  // namespace mansio::ingress
