// One connection on the control socket: requests are served one after the other, in order.
#pragma once

#include <boost/asio/local/stream_protocol.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/control/access.hpp"
#include "kernel/control/bridge.hpp"

namespace mansio::control {

using LocalSocket = asio::local::stream_protocol::socket;

// Until the peer closes the connection, or the socket is closed from outside.
Task<> serve(std::shared_ptr<LocalSocket> socket, Bridge &bridge, Logger &log, Client client, Access access);

// A request's fields, checked. Pure; what a client sends is not trusted.
struct Request {
  std::string command;
  wire::QueueCommand queue;
  std::vector<std::string> plugin{};  // plugin-call: instance, command, and what the command gets
};
Result<Request> parse_request(std::string_view line);

}  // namespace mansio::control
