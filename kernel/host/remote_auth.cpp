#include "kernel/host/remote_auth.hpp"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "kernel/host/patience.hpp"

namespace mansio::host {

RemoteAuth::RemoteAuth(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit)
    : clock_(clock), name_(std::move(name)), limit_(in_flight_limit), timers_(loop) {}

RemoteAuth::~RemoteAuth() {
  if (channel_) channel_->close();
}

void RemoteAuth::attach(std::shared_ptr<io::Channel> channel) {
  if (channel_) channel_->close();
  lost("its process was replaced");
  channel_ = std::move(channel);
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view) {
                    if (channel_.get() == which) lost("its process ended");
                  });
}

void RemoteAuth::start(wire::AuthCall call, Done done) {
  const auto number = call.number = ++last_;
  const auto exchange = call.exchange;
  const auto time_limit = call.time_limit;
  const char *why = nullptr;
  if (!channel_)
    why = "its process is not there";
  else if (pending_.size() >= limit_ || !channel_->send(call))
    why = "it has too much to do";
  if (why) {
    ++metrics_.host.refused;
    return done(auth_failure(why));
  }
  ++metrics_.host.operations;
  const auto timer = timers_.add(time_limit + kGrace, [this, number, exchange] {
    ++metrics_.host.timed_out;
    forget(exchange);  // it may still answer with a challenge
    end(number, auth_failure("time limit exceeded"));
  });
  pending_.emplace(number, Pending{std::move(done), timer, clock_.mono()});
}

void RemoteAuth::forget(std::uint64_t exchange) {
  if (channel_) channel_->send(wire::AuthForget{exchange});
}

void RemoteAuth::receive(io::Message &m) {
  if (m.type == wire::AuthOffer::kType) {
    if (const auto offer = decode<wire::AuthOffer>(m.payload)) {
      clear_ = canonical_mechanisms(offer->clear);
      secure_ = canonical_mechanisms(offer->secure);
    }
    return;
  }
  if (m.type != wire::AuthResult::kType) return;
  auto result = decode<wire::AuthResult>(m.payload);
  if (!result) return;  // its time limit tells
  const auto number = result->number;
  end(number, valid(*result) ? std::move(*result) : auth_failure("it answered what breaks the rules"));
}

void RemoteAuth::end(std::uint64_t number, wire::AuthResult &&result) {
  auto node = pending_.extract(number);
  if (node.empty()) {
    ++metrics_.host.late;
    return;
  }
  timers_.cancel(node.mapped().timer);
  metrics_.host.busy += clock_.mono() - node.mapped().started;
  if (result.outcome == wire::AuthOutcome::Failed) ++metrics_.host.failed;
  node.mapped().done(std::move(result));
}

void RemoteAuth::lost(const char *why) {
  channel_ = nullptr;
  std::vector<std::uint64_t> all;
  all.reserve(pending_.size());
  for (const auto &[number, pending] : pending_) all.push_back(number);
  for (const auto number : all) end(number, auth_failure(why));
}

void RemoteAuth::stats(const StatsSink &add) const {
  metrics_.stats(fmt::format("{{auth=\"{}\",isolation=\"process\"}}", name_), pending_.size(), add);
}

}  // namespace mansio::host
