// WriterLink: a spool writer's line to the queue process, the same for ingress and router. It asks for segments,
// announces commits, knows what the spool is called in stores, and survives the queue's death: commits go on into the
// segments in hand, and the next attach names those segments so that the queue scans them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/spool/writer.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::process {

class WriterLink final : public spool::SegmentSource {
 public:
  explicit WriterLink(asio::io_context &loop);
  ~WriterLink() override;

  // A channel to a (new) queue process, already started by the owner, whose handler passes messages to handle().
  void attach(std::shared_ptr<io::Channel> channel);
  void lost();                        // the channel closed: pending requests fail with Busy
  bool handle(io::Message &message);  // true: it was ours (SegmentReply, SpoolName)
  bool connected() const { return channel_ && channel_->open(); }

  Task<Result<spool::SegmentGrant>> next(std::uint64_t least) override;
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override;

  // Hints that a message is committed; `envelope_bytes` may be left out by the link when it is large.
  void committed(const spool::Committed &message, std::string_view envelope_bytes);
  std::uint64_t spool() const { return spool_; }  // as StoreKey has it; 0: not known yet
  // Some store may have it, and the spool will not. (Lost with the queue process; its next start finds it.)
  void abandoned(MessageId id);

 private:
  struct Pending;
  void hello();
  void catch_up();  // a hint could not be sent: have the queue scan once it reads again

  asio::io_context &loop_;
  std::shared_ptr<io::Channel> channel_;
  std::map<std::uint32_t, Pending *> pending_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> writing_;  // (segment, epoch)
  // Sealed before the queue could be told; it must still scan them once.
  std::vector<wire::SegmentSealed> unreported_;
  std::vector<wire::SegmentSealed> given_up_;  // of late
  asio::steady_timer retry_;
  std::uint32_t next_request_ = 0;
  std::uint64_t sequence_ = 0, spool_ = 0;
  bool behind_ = false;
};

}  // namespace mansio::process
