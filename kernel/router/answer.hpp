// Where recipients go now: what the router answers when the queue asks for their routes again.
#pragma once

#include "kernel/route/route_table.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// Fits in a message, whatever was asked: recipients for whose routes there is no room are to be asked for later.
wire::RouteReply answer(const wire::RouteRequest &request, const route::RouteTable &routes, std::uint32_t config_epoch);

}  // namespace mansio::router
