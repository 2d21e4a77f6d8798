// Command: an operator's request under way. It walks the index a bounded number of messages a turn, and sends a
// reply only when the other side has given credit, so neither the loop nor the channel fills up.
//
// A list is a snapshot nevertheless: a message that is about to change, or to go, and that the walk has not come to has
// its line made first (QueueCore::changing). So the index is never copied, and a list costs a bit a message.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/queue/peers.hpp"
#include "kernel/queue/shape.hpp"
#include "kernel/queue/why.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::queue {

inline constexpr std::size_t kReplyBytes = 32 * 1024;  // lines gathered before they go

struct Command {
  ConnectionId connection = 0;
  wire::QueueCommand request;
  std::size_t cursor = 0;  // next message slot, or next of request.ids
  std::uint64_t affected = 0;
  std::uint32_t credit = 1;
  std::string lines;                  // ready to go
  bool walked = false;                // nothing more to visit
  bool snapshot = false;              // of the moment when it came
  bool late = false;                  // some of it is of later, as it was read too slowly
  std::vector<bool> listed;           // of a snapshot, by slot: its line was made, or it came later
  std::unique_ptr<Shape> shape;       // of qshape
  std::unique_ptr<WhyWalk> why;       // of `why --destination`
  std::uint32_t named = 0;            // groups that `why` has answered for
  std::optional<std::uint32_t> etrn;  // an ingress process asked, and is answered by a FlushReply of this number
};

}  // namespace mansio::queue
