// QueueLink: the queue process, as ingress deals with it: it says whether new mail is welcome, hears of committed
// mail, and grants the spool writer its segments (through process::WriterLink).
//
// The queue may die at any moment. Then new MAIL is refused, while transactions past DATA still commit: into the
// segment in hand, then into a spare that is always fetched ahead, and if even that is full, after a patient wait
// for the queue's return.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string_view>

#include "kernel/base/log.hpp"
#include "kernel/ingress/environment.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/process/writer_link.hpp"
#include "kernel/spool/writer.hpp"
#include "kernel/wire/queue_messages.hpp"

namespace mansio::ingress {

class QueueLink final : public spool::SegmentSource, public Intake {
 public:
  // `patience`: how long a commit may wait for a segment while the queue is away.
  QueueLink(asio::io_context &loop, Logger &log, Nanos patience = 20 * kSecond);

  void attach(std::shared_ptr<io::Channel> channel);  // not started yet; replaces an earlier one
  void refill();                                      // fetches the spare if it is missing; called now and then
  void close();                                       // no more segments are fetched, an unused spare goes back

  // SegmentSource
  Task<Result<spool::SegmentGrant>> next(std::uint64_t least) override;
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override;

  bool disk_full() const override;

  // Intake
  std::optional<Reply> refusal() const override;
  bool slows(const Client &client) const override;
  void committed(const spool::Committed &message, const Envelope &envelope) override;
  std::uint64_t spool() const override { return link_.spool(); }
  void abandoned(MessageId id) override { link_.abandoned(id); }
  Task<Result<std::uint64_t>> flush(std::string domain, std::string by) override;

  bool attached() const { return link_.connected(); }
  bool spare() const { return spare_.has_value(); }

 private:
  struct Asked {
    explicit Asked(asio::io_context &loop) : answered(loop) {}
    asio::steady_timer answered;  // cancelled by the answer
    std::optional<wire::FlushReply> reply;
  };
  Task<void> fetch_spare();
  void receive(io::Message &message);

  asio::io_context &loop_;
  Logger &log_;
  Nanos patience_;
  process::WriterLink link_;
  asio::steady_timer attached_;  // cancelled by attach(), to wake who waits for it
  wire::Pressure pressure_;
  std::optional<spool::SegmentGrant> spare_;
  bool fetching_ = false, closed_ = false;
  std::shared_ptr<io::Channel> channel_;
  std::map<std::uint32_t, std::shared_ptr<Asked>> asked_;  // flush()
  std::uint32_t last_asked_ = 0;
};

}  // namespace mansio::ingress
