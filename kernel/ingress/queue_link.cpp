#include "kernel/ingress/queue_link.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace mansio::ingress {
namespace {

constexpr auto kFlushPatience = std::chrono::seconds{30};

}  // namespace

QueueLink::QueueLink(asio::io_context &loop, Logger &log, Nanos patience)
    : loop_(loop), log_(log), patience_(patience), link_(loop), attached_(loop) {}

void QueueLink::attach(std::shared_ptr<io::Channel> channel) {
  pressure_ = {};
  if (channel_) channel_->close();  // or its end would count as that of the new one
  channel->start([this](io::Message &message) { receive(message); },
                 [this](std::string_view why) {
                   log_.warn("queue process is away, new mail is refused for now", {{"reason", why}});
                   link_.lost();
                   for (const auto &[request, asked] : asked_) asked->answered.cancel();
                 });
  channel_ = channel;
  link_.attach(std::move(channel));
  attached_.cancel();
  refill();
}

void QueueLink::close() {
  closed_ = true;
  if (spare_) link_.sealed(spare_->segment, spare_->epoch, 0);
  spare_.reset();
}

void QueueLink::receive(io::Message &message) {
  if (link_.handle(message)) return;
  if (message.type == wire::FlushReply::kType) {
    const auto reply = decode<wire::FlushReply>(message.payload);
    const auto asked = reply ? asked_.find(reply->request) : asked_.end();
    if (asked == asked_.end()) return;
    asked->second->reply = *reply;
    asked->second->answered.cancel();
    return;
  }
  if (message.type != wire::Pressure::kType) return;
  auto pressure = decode<wire::Pressure>(message.payload);
  if (!pressure) return;
  if (pressure->accept != pressure_.accept)
    log_.info(pressure->accept ? "new mail is welcome again" : "new mail is refused for now",
              {{"reason", pressure->reason}});
  pressure_ = std::move(*pressure);
}

void QueueLink::refill() {
  if (spare_ || fetching_ || closed_ || !link_.connected()) return;
  fetching_ = true;
  asio::co_spawn(loop_, fetch_spare(), asio::detached);
}

Task<void> QueueLink::fetch_spare() {
  auto grant = co_await link_.next(0);
  fetching_ = false;
  if (!grant) co_return;  // asked again at the next refill()
  if (closed_ || spare_)
    link_.sealed(grant->segment, grant->epoch, 0);
  else
    spare_ = std::move(*grant);
}

Task<Result<spool::SegmentGrant>> QueueLink::next(std::uint64_t least) {
  // A large body takes the spare only while nothing else can be had: it would use up a whole ordinary segment.
  if (spare_ && least <= spare_->size && (least == 0 || !link_.connected())) {
    auto grant = std::move(*spare_);
    spare_.reset();
    refill();
    co_return grant;
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::nanoseconds{patience_};
  for (;;) {
    while (!link_.connected()) {
      if (closed_ || std::chrono::steady_clock::now() >= deadline)
        co_return Error{Status::Defer, "the queue process is away", {4, 3, 2}};
      // One timer for all who wait: setting it anew would wake the others, who would set it anew ...
      if (attached_.expiry() < std::chrono::steady_clock::now()) attached_.expires_at(deadline);
      ErrorCode ignored;
      co_await attached_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    auto grant = co_await link_.next(least);
    if (grant || link_.connected()) co_return grant;
  }
}

// The queue answers once it has looked at all that waits.
Task<Result<std::uint64_t>> QueueLink::flush(std::string domain, std::string by) {
  const auto request = ++last_asked_;
  if (!attached() || !channel_->send(wire::FlushRequest{request, std::move(domain), std::move(by)}))
    co_return Error{Status::Busy, "the queue process is away"};
  const auto asked = std::make_shared<Asked>(loop_);
  asked_.emplace(request, asked);
  asked->answered.expires_after(kFlushPatience);
  ErrorCode ignored;
  co_await asked->answered.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  asked_.erase(request);
  if (!asked->reply || !asked->reply->begun) co_return Error{Status::Busy, "the queue does not take it now"};
  co_return asked->reply->messages;
}

void QueueLink::sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) {
  link_.sealed(segment, epoch, bad_from);
}

bool QueueLink::disk_full() const { return link_.connected() && pressure_.disk_full; }

std::optional<Reply> QueueLink::refusal() const {
  if (!link_.connected()) return Reply{451, {4, 3, 2}, "Queue service is unavailable, try again later"};
  if (pressure_.accept) return std::nullopt;
  return Reply{pressure_.code, pressure_.enhanced.empty() ? EnhancedStatus{4, 3, 2} : pressure_.enhanced,
               pressure_.reason.empty() ? "Try again later" : pressure_.reason};
}

bool QueueLink::slows(const Client &client) const {
  if (!link_.connected() || pressure_.brake == 0) return false;
  return pressure_.brake > 1 || std::ranges::binary_search(pressure_.heavy, client.network);
}

void QueueLink::committed(const spool::Committed &message, const Envelope &envelope) {
  link_.committed(message, encode_envelope(envelope));
}

}  // namespace mansio::ingress
