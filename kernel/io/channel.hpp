// Channel: typed messages between two processes (or threads) over a SOCK_SEQPACKET pair.
//
// A frame (one packet, <= 64 KiB) is an 8-byte header and as many messages as were posted in one turn of
// the loop, so that traffic batches itself under load. The first frame each way carries the protocol
// version; a peer of another version is closed. Sending never blocks: `send` queues, and answers false
// when the peer is too far behind (`limits.queue_bytes`): the caller decides what that means. The
// receiver grants credit, in bytes, as it consumes; without credit nothing leaves the queue, so neither
// kernel buffers nor the peer's memory fill up. Descriptors travel with the message they were sent with.
//
// Single-threaded: every call on the loop's thread. Peers are not trusted: a malformed frame closes the
// channel, and the process stays.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/codec.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::io {

inline constexpr std::size_t kMaxFrame = 64 * 1024;
inline constexpr std::size_t kFrameHeader = 8;
inline constexpr std::size_t kMessageHeader = 8;
inline constexpr std::size_t kMaxMessage = kMaxFrame - kFrameHeader - kMessageHeader;
inline constexpr std::size_t kMaxFds = 16;  // in one frame
inline constexpr std::uint8_t kProtocolVersion = 4;

struct ChannelLimits {
  std::size_t queue_bytes = 8 * 1024 * 1024;  // unsent bytes before `send` answers false
  std::uint32_t window = 4 * 1024 * 1024;     // credit granted to the peer, bytes
};

// One message inside a received frame. `payload` is borrowed until the handler returns; a handler takes
// the descriptors it wants by moving them out, the rest are closed.
struct Message {
  std::uint16_t type;
  std::string_view payload;
  std::vector<UniqueFd> &fds;
};

// Pure parser of one frame (a fuzz target): calls `each(type, n_fds, payload)` for every message.
struct FrameHeader {
  std::uint8_t magic;
  std::uint8_t version;
  std::uint16_t reserved;
  std::uint32_t credit;  // bytes given back to the peer
};
bool parse_frame(std::string_view frame, FrameHeader &header,
                 const std::function<void(std::uint16_t, std::uint16_t, std::string_view)> &each);

class Channel : public std::enable_shared_from_this<Channel> {
 public:
  using OnMessage = std::function<void(Message &)>;
  using OnClose = std::function<void(std::string_view why)>;  // at most once; never after close()

  static std::shared_ptr<Channel> create(asio::io_context &loop, UniqueFd socket, ChannelLimits limits = {});
  ~Channel();

  void start(OnMessage on_message, OnClose on_close);
  void close();  // drops what is queued; handlers are not called any more
  bool open() const { return open_; }

  // False: the queue is full, or the channel is closed; nothing was queued. `fds` are consumed either way.
  bool send_raw(std::uint16_t type, std::string_view payload, std::vector<UniqueFd> fds = {});

  // M has `static constexpr std::uint16_t kType` and `fields` (kernel/base/codec.hpp).
  template <class M>
  bool send(const M &message, std::vector<UniqueFd> fds = {}) {
    return send_raw(static_cast<std::uint16_t>(M::kType), encode(message), std::move(fds));
  }

  // For questions and answers that come one at a time: after a small frame the next turn looks for another, as there is
  // mostly none. Else all is read that is there, which is before anything that comes on other channels later.
  void expect_one_by_one() { one_by_one_ = true; }

  // While paused nothing is read, so the peer runs out of credit. Messages of a frame already read still arrive.
  void pause();
  void resume();

  // Sends what it can without waiting: the last words of a process about to exit.
  void flush_now();

  std::size_t queued_bytes() const { return queued_; }

 private:
  struct Frame {
    std::string bytes;
    std::vector<UniqueFd> fds;
  };

  struct Handlers {
    OnMessage message;
    OnClose closed;
  };

  Channel(asio::io_context &loop, UniqueFd socket, ChannelLimits limits);
  void schedule_flush();
  void flush();
  bool write_frame(Frame &frame);
  void wait_readable();
  void read_some();
  void read_frames();
  void consume(std::string_view frame, std::vector<UniqueFd> &fds);
  void fail(std::string_view why);

  asio::io_context &loop_;
  asio::posix::stream_descriptor socket_;
  ChannelLimits limits_;
  std::shared_ptr<Handlers> handlers_;  // null: not started, or closed
  std::deque<Frame> out_;
  std::size_t queued_ = 0;
  std::uint64_t credit_ = 0;    // bytes we may still send
  std::uint32_t consumed_ = 0;  // bytes to give back
  bool open_ = true;
  bool broken_ = false;  // the peer takes no more; what it sent is still read
  bool started_ = false;
  bool paused_ = false;
  bool one_by_one_ = false;
  bool reading_ = false;
  bool hello_sent_ = false;
  bool hello_seen_ = false;
  bool flush_scheduled_ = false;
  bool waiting_writable_ = false;
};

// A connected SOCK_SEQPACKET pair, close-on-exec, non-blocking.
Result<std::pair<UniqueFd, UniqueFd>> channel_pair();

}  // namespace mansio::io
