#include "kernel/process/writer_link.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace mansio::process {
namespace {

constexpr std::size_t kGivenUp = 64;                // remembered
constexpr std::size_t kInlineEnvelope = 32 * 1024;  // a larger one is read from the spool

}  // namespace

struct WriterLink::Pending {
  explicit Pending(asio::io_context &loop) : wake(loop, asio::steady_timer::time_point::max()) {}
  asio::steady_timer wake;
  std::optional<Result<spool::SegmentGrant>> reply;
};

WriterLink::WriterLink(asio::io_context &loop) : loop_(loop), retry_(loop) {}
WriterLink::~WriterLink() = default;

void WriterLink::attach(std::shared_ptr<io::Channel> channel) {
  lost();
  channel_ = std::move(channel);
  hello();
}

void WriterLink::hello() {
  sequence_ = 0;
  wire::WriterHello hello;
  hello.segments = writing_;
  for (const auto &s : unreported_) hello.segments.emplace_back(s.segment, s.epoch);
  hello.given_up = given_up_;
  if (!channel_->send(hello)) return catch_up();
  auto left = unreported_.begin();
  while (left != unreported_.end() && channel_->send(*left)) ++left;
  unreported_.erase(unreported_.begin(), left);
  if (!unreported_.empty()) catch_up();
}

void WriterLink::catch_up() {
  if (behind_) return;
  behind_ = true;
  retry_.expires_after(std::chrono::milliseconds(100));
  retry_.async_wait([this](ErrorCode e) {
    if (e) return;
    behind_ = false;
    if (connected()) hello();
  });
}

void WriterLink::lost() {
  channel_.reset();
  retry_.cancel();
  behind_ = false;
  for (auto &[request, pending] : pending_) {
    pending->reply = Result<spool::SegmentGrant>{Error{Status::Busy, "the queue process is away", {4, 3, 2}}};
    pending->wake.cancel();
  }
  pending_.clear();
}

bool WriterLink::handle(io::Message &message) {
  if (message.type == wire::SpoolName::kType) {
    if (const auto name = decode<wire::SpoolName>(message.payload)) spool_ = name->spool;
    return true;
  }
  if (message.type != wire::SegmentReply::kType) return false;
  auto reply = decode<wire::SegmentReply>(message.payload);
  if (!reply) return true;
  const auto found = pending_.find(reply->request);
  if (found == pending_.end()) {  // asked before the queue restarted: the new one has forgotten it, so have we
    if (reply->status == Status::Ok && connected())
      channel_->send(wire::SegmentSealed{reply->segment, reply->epoch, 0});
    return true;
  }
  auto &pending = *found->second;
  pending_.erase(found);
  if (reply->status != Status::Ok) {
    pending.reply = Result<spool::SegmentGrant>{Error{reply->status, reply->text, {4, 3, 1}}};
  } else if (message.fds.empty()) {
    pending.reply = Result<spool::SegmentGrant>{Error{Status::Busy, "no descriptor came with the segment", {4, 3, 0}}};
    if (connected()) channel_->send(wire::SegmentSealed{reply->segment, reply->epoch, 0});
  } else {
    writing_.emplace_back(reply->segment, reply->epoch);
    pending.reply = Result<spool::SegmentGrant>{
        spool::SegmentGrant{reply->node, reply->segment, reply->epoch, reply->size, std::move(message.fds.front())}};
  }
  pending.wake.cancel();
  return true;
}

Task<Result<spool::SegmentGrant>> WriterLink::next(std::uint64_t least) {
  if (!connected()) co_return Error{Status::Busy, "the queue process is away", {4, 3, 2}};
  Pending pending{loop_};
  const auto request = ++next_request_;
  if (!channel_->send(wire::SegmentRequest{request, least}))
    co_return Error{Status::Busy, "the queue process does not keep up", {4, 3, 2}};
  pending_.emplace(request, &pending);
  while (!pending.reply) {
    ErrorCode ignored;
    co_await pending.wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return std::move(*pending.reply);
}

void WriterLink::sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) {
  std::erase(writing_, std::pair{segment, epoch});
  if (bad_from != 0) {
    if (given_up_.size() == kGivenUp) given_up_.erase(given_up_.begin());
    given_up_.push_back({segment, epoch, bad_from});
  }
  // While behind, a hint of a commit in it may have been lost: the hello that follows must still name it.
  if (!connected() || behind_ || !channel_->send(wire::SegmentSealed{segment, epoch, bad_from})) {
    unreported_.push_back({segment, epoch, bad_from});
    if (connected()) catch_up();
  }
}

void WriterLink::abandoned(MessageId id) {
  if (connected()) channel_->send(wire::Abandoned{id});
}

void WriterLink::committed(const spool::Committed &message, std::string_view envelope_bytes) {
  if (!connected()) return;  // the next attach names the segment
  wire::Notice notice{++sequence_, message.id, message.commit, message.envelope, message.body, {}};
  if (envelope_bytes.size() <= kInlineEnvelope) notice.envelope_bytes = envelope_bytes;
  if (!channel_->send(notice)) catch_up();
}

}  // namespace mansio::process
