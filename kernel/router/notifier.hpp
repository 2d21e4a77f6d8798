// From the queue's request to a committed notification: pure translation here, the I/O is the role's.
#pragma once

#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/mail/dsn.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/router/ways.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// What dsn::compose() takes; `original` is filled in by the caller, who reads dsn::bytes_wanted() bytes.
dsn::Input dsn_input(const wire::DsnRequest &request, const config::Settings &settings, Nanos now);

// The envelope of the composed notification, to those `ways`.
Envelope dsn_envelope(const wire::DsnRequest &request, const dsn::Notification &notification,
                      const config::Settings &settings, std::vector<Way> ways, std::uint32_t config_epoch, Nanos now);

}  // namespace mansio::router
