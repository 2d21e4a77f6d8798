// Frames of the process channel from untrusted bytes: a plugin's process may have been taken over by its peer. A frame
// is refused or parsed; a message that decodes encodes to a form that is stable from then on.
#include <cstdint>
#include <cstdlib>

#include "kernel/base/codec.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/wire/process_messages.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::channel {
namespace {

template <class M>
void check(std::uint16_t type, std::string_view payload) {
  if (type != M::kType) return;
  const auto message = decode<M>(payload);
  if (!message) return;
  const auto bytes = encode(*message);
  const auto again = decode<M>(bytes);
  if (!again || encode(*again) != bytes) std::abort();
}

template <class... M>
void check_any(std::uint16_t type, std::string_view payload) {
  (check<M>(type, payload), ...);
}

}  // namespace

MANSIO_FUZZ_TARGET("channel-fuzz", data, size) {
  using namespace wire;
  io::FrameHeader header{};
  const auto each = [](std::uint16_t type, std::uint16_t, std::string_view payload) {
    check_any<Start, Ready, Failed, Attach, AttachDone, Dead, Drain, ReopenLog, OpenFile, OpenedFile, StatsRequest,
              Stats, Command, CommandResult, Reload, Reloaded, Draining, LostPeer, ConfigRequest, Glob, Globbed,
              ConfigDone>(type, payload);
    check_any<SegmentRequest, SegmentReply, SegmentSealed, Notice, WriterHello, Pressure, EgressHello, Lease, SegmentFd,
              ForgetSegment, Outcomes, OutcomesAck, CancelLease, RouteRequest, RouteReply, DsnRequest, DsnWritten,
              QueueCommand, QueueReply, QueueCommandCredit>(type, payload);
  };
  (void)io::parse_frame({reinterpret_cast<const char *>(data), size}, header, each);
  return 0;
}

}  // namespace mansio::fuzz::channel
