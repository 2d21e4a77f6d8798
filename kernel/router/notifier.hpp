// From the queue's request to a committed notification: pure translation here, the I/O is the role's.
#pragma once

#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/dsn.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/route/route_table.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// What dsn::compose() takes; `original` is filled in by the caller, who reads dsn::bytes_wanted() bytes.
dsn::Input dsn_input(const wire::DsnRequest &request, const config::Settings &settings, Nanos now);

// The envelope of the composed notification, routed; fails with the route's own error.
Result<Envelope> dsn_envelope(const wire::DsnRequest &request, const dsn::Notification &notification,
                              const config::Settings &settings, const route::RouteTable &routes,
                              std::uint32_t config_epoch, Nanos now);

}  // namespace mansio::router
