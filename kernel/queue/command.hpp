// Command: an operator's request under way. It walks the index a bounded number of messages a turn, and sends a
// reply only when the other side has given credit, so neither the loop nor the channel fills up.
#pragma once

#include <memory>
#include <string>

#include "kernel/queue/peers.hpp"
#include "kernel/queue/shape.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::queue {

struct Command {
  ConnectionId connection = 0;
  wire::QueueCommand request;
  std::size_t cursor = 0;  // next message slot, or next of request.ids
  std::uint64_t affected = 0;
  std::uint32_t credit = 1;
  std::string lines;             // ready to go
  bool walked = false;           // nothing more to visit
  std::unique_ptr<Shape> shape;  // of qshape
};

}  // namespace mansio::queue
