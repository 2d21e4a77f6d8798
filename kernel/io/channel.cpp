#include "kernel/io/channel.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace mansio::io {
namespace {

constexpr std::uint8_t kMagic = 0xA5;
// The first window is the peer's to announce; until its hello arrives this much may be sent.
constexpr std::uint32_t kInitialCredit = 256 * 1024;
constexpr ssize_t kSmallFrame = 4 * 1024;

void put_message_header(std::string &out, std::uint16_t type, std::uint16_t n_fds, std::uint32_t length) {
  Encoder e{out};
  e(type, n_fds, length);
}

}  // namespace

bool parse_frame(std::string_view frame, FrameHeader &header,
                 const std::function<void(std::uint16_t, std::uint16_t, std::string_view)> &each) {
  Decoder d{frame};
  d(header.magic, header.version, header.reserved, header.credit);
  if (!d.ok() || header.magic != kMagic || header.version != kProtocolVersion) return false;
  while (!d.finished()) {
    std::uint16_t type = 0, n_fds = 0;
    std::uint32_t length = 0;
    d(type, n_fds, length);
    const auto payload = d.raw(length);
    if (!d.ok()) return false;
    each(type, n_fds, payload);
  }
  return true;
}

std::shared_ptr<Channel> Channel::create(asio::io_context &loop, UniqueFd socket, ChannelLimits limits) {
  return std::shared_ptr<Channel>{new Channel{loop, std::move(socket), limits}};
}

Channel::Channel(asio::io_context &loop, UniqueFd socket, ChannelLimits limits)
    : loop_(loop), socket_(loop, socket.release()), limits_(limits), credit_(kInitialCredit) {}

Channel::~Channel() = default;

void Channel::start(OnMessage on_message, OnClose on_close) {
  handlers_ = std::make_shared<Handlers>(Handlers{std::move(on_message), std::move(on_close)});
  started_ = true;
  consumed_ = limits_.window > kInitialCredit ? limits_.window - kInitialCredit : 0;
  schedule_flush();  // the hello
  wait_readable();
}

void Channel::close() {
  if (!open_) return;
  open_ = false;
  out_.clear();
  queued_ = 0;
  ErrorCode ignored;
  socket_.close(ignored);
  // Released a turn later, as we may be inside one of them; if the loop has no more turns, together with it. They may
  // hold us, so what is posted must not be that which still has to break the circle.
  asio::post(loop_, [handlers = std::move(handlers_)] {});
}

bool Channel::send_raw(std::uint16_t type, std::string_view payload, std::vector<UniqueFd> fds) {
  if (!open_ || broken_ || payload.size() > kMaxMessage || fds.size() > kMaxFds) return false;
  const auto size = kMessageHeader + payload.size();
  if (queued_ + size > limits_.queue_bytes) return false;
  // A frame is closed once it carries descriptors, so that their order is the messages' order.
  if (out_.empty() || out_.back().bytes.size() + size > kMaxFrame || !out_.back().fds.empty() || !fds.empty()) {
    auto &frame = out_.emplace_back();
    frame.bytes.reserve(fds.empty() ? 1024 : kFrameHeader + size);
    frame.bytes.assign(kFrameHeader, '\0');
  }
  auto &frame = out_.back();
  put_message_header(frame.bytes, type, static_cast<std::uint16_t>(fds.size()),
                     static_cast<std::uint32_t>(payload.size()));
  frame.bytes.append(payload);
  frame.fds = std::move(fds);
  queued_ += size;
  if (started_) schedule_flush();
  return true;
}

void Channel::schedule_flush() {
  if (flush_scheduled_ || waiting_writable_ || !open_ || broken_) return;
  flush_scheduled_ = true;
  asio::post(loop_, [self = shared_from_this()] {
    self->flush_scheduled_ = false;
    self->flush();
  });
}

void Channel::flush_now() {
  if (open_) flush();
}

void Channel::flush() {
  while (open_ && !broken_) {
    const bool must = !hello_sent_ || consumed_ >= limits_.window / 4;
    const bool may = !out_.empty() && out_.front().bytes.size() <= credit_;
    if (!may && !must) return;
    if (may) {
      if (!write_frame(out_.front())) return;
      queued_ -= out_.front().bytes.size() - kFrameHeader;
      credit_ -= out_.front().bytes.size();
      out_.pop_front();
    } else {
      Frame bare{std::string(kFrameHeader, '\0'), {}};
      if (!write_frame(bare)) return;
    }
  }
}

// True when the packet left. False: it did not; either the socket is full (a wait is set up) or it failed.
bool Channel::write_frame(Frame &frame) {
  std::string header;
  Encoder{header}(kMagic, kProtocolVersion, std::uint16_t{0}, consumed_);
  std::memcpy(frame.bytes.data(), header.data(), kFrameHeader);

  iovec iov{frame.bytes.data(), frame.bytes.size()};
  msghdr msg{};
  msg.msg_iov = &iov;
  msg.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
  if (!frame.fds.empty()) {
    msg.msg_control = control;
    msg.msg_controllen = CMSG_SPACE(sizeof(int) * frame.fds.size());
    auto *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int) * frame.fds.size());
    auto *slot = CMSG_DATA(c);
    for (const auto &fd : frame.fds) {
      const int n = fd.get();
      std::memcpy(slot, &n, sizeof n);
      slot += sizeof n;
    }
  }
  for (;;) {
    if (::sendmsg(socket_.native_handle(), &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) break;
    if (errno == EINTR) continue;
    // ETOOMANYREFS: the peer has not yet taken descriptors already in flight; both pass with time.
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
      if (!waiting_writable_) {
        waiting_writable_ = true;
        socket_.async_wait(asio::posix::stream_descriptor::wait_write, [self = shared_from_this()](ErrorCode e) {
          self->waiting_writable_ = false;
          if (!e) self->flush();
        });
      }
      return false;
    }
    // The peer is gone. What it said before lies in our socket still: reading comes to the end and reports it.
    broken_ = true;
    out_.clear();
    queued_ = 0;
    return false;
  }
  consumed_ = 0;
  hello_sent_ = true;
  return true;
}

void Channel::pause() { paused_ = true; }

void Channel::resume() {
  if (!paused_) return;
  paused_ = false;
  wait_readable();
}

void Channel::wait_readable() {
  if (reading_ || paused_ || !open_ || !started_) return;
  reading_ = true;
  socket_.async_wait(asio::posix::stream_descriptor::wait_read, [self = shared_from_this()](ErrorCode e) {
    self->reading_ = false;
    if (!e && self->open_) self->read_some();
  });
}

void Channel::read_some() {
  read_frames();
  // What was said in answer leaves now: behind the rest of the turn it would wait for other channels.
  if (flush_scheduled_) flush();
  if (open_) wait_readable();
}

void Channel::read_frames() {
  // A bounded number of frames a turn, so that one busy peer does not starve the loop.
  thread_local std::vector<char> buffer(kMaxFrame + 1);
  for (int turn = 0; turn < 32 && open_ && !paused_; ++turn) {
    iovec iov{buffer.data(), buffer.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxFds)];
    msghdr msg{};
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control;
    msg.msg_controllen = sizeof control;
    const auto n = ::recvmsg(socket_.native_handle(), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) return;
      // Told once, ahead of what is queued, when the peer went with something of ours unread.
      if (errno == ECONNRESET) continue;
      return fail(std::strerror(errno));
    }
    std::vector<UniqueFd> fds;
    for (auto *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
        fds.emplace_back(fd);
      }
    }
    if (n == 0) return fail("closed by peer");
    // Truncated control data means descriptors were lost (EMFILE): the messages that need them fail, not we.
    if (msg.msg_flags & MSG_TRUNC) return fail("frame too long");
    consume({buffer.data(), static_cast<std::size_t>(n)}, fds);
    if (one_by_one_ && n < kSmallFrame) return;  // of a peer that is not busy
  }
}

void Channel::consume(std::string_view bytes, std::vector<UniqueFd> &fds) {
  const auto self = shared_from_this();  // a handler may drop the last reference
  const auto handlers = handlers_;       // or close us
  FrameHeader header{};
  std::size_t next_fd = 0;
  const auto each = [&](std::uint16_t type, std::uint16_t n_fds, std::string_view payload) {
    std::vector<UniqueFd> mine;
    for (; n_fds > 0 && next_fd < fds.size(); --n_fds) mine.push_back(std::move(fds[next_fd++]));
    if (!open_) return;
    Message m{type, payload, mine};
    handlers->message(m);
  };
  // The buffer is the loop's: a handler that reads another channel in here must not exist (it would not be
  // a loop any more), so the borrowed payloads stay valid.
  if (!parse_frame(bytes, header, each)) return fail("malformed frame, or a peer of another protocol version");
  if (!open_) return;
  hello_seen_ = true;
  credit_ += header.credit;
  if (bytes.size() > kFrameHeader) consumed_ += static_cast<std::uint32_t>(bytes.size());
  if (!out_.empty() || consumed_ >= limits_.window / 4) schedule_flush();
}

void Channel::fail(std::string_view why) {
  if (!open_) return;
  const auto self = shared_from_this();
  const std::string reason{why};
  const auto handlers = handlers_;
  close();
  if (handlers && handlers->closed) handlers->closed(reason);
}

Result<std::pair<UniqueFd, UniqueFd>> channel_pair() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return Error{Status::Busy, std::string{"socketpair: "} + std::strerror(errno)};
  for (int fd : fds) {  // room for some full frames
    const int bytes = 1 << 20;
    ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  }
  return std::pair{UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

}  // namespace mansio::io
