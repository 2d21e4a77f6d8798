// What the router asks the policies of the queue: pure translation of the queue's requests.
#pragma once

#include <cstddef>

#include "kernel/wire/filter_messages.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::router {

// Where does the `which`th recipient of the request go? `route` is what the configuration says.
wire::StageCall route_question(const wire::RouteRequest &request, std::size_t which, const Route &route);

// When are these tried again?
wire::StageCall retry_question(const wire::RetryRequest &request);
// Is this notification written, and to whom?
wire::StageCall bounce_question(const wire::DsnRequest &request);

}  // namespace mansio::router
