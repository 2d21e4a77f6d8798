#include <fmt/format.h>

#include <utility>

#include "kernel/host/patience.hpp"
#include "kernel/host/remote.hpp"

namespace mansio::host {

RemoteLookup::RemoteLookup(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit)
    : clock_(clock), name_(std::move(name)), limit_(in_flight_limit), timers_(loop) {}

RemoteLookup::~RemoteLookup() {
  if (channel_) channel_->close();
}

void RemoteLookup::attach(std::shared_ptr<io::Channel> channel) {
  if (channel_) channel_->close();
  fail_all("its process was replaced");
  channel_ = std::move(channel);
  channel_->start([this](io::Message &m) { receive(m); },
                  [this, which = channel_.get()](std::string_view) {
                    if (channel_.get() != which) return;
                    channel_ = nullptr;
                    fail_all("its process ended");
                  });
}

void RemoteLookup::lookup(std::string_view key, Nanos time_limit, Done done) {
  if (!channel_) {
    ++metrics_.host.refused;
    return done(lookup_failure("its process is not there"));
  }
  const auto number = ++last_;
  if (pending_.size() >= limit_ || !channel_->send(wire::LookupCall{number, std::string{key}, time_limit})) {
    ++metrics_.host.refused;
    return done(lookup_failure("it has too much to do"));
  }
  ++metrics_.host.operations;
  const auto timer = timers_.add(time_limit + kGrace, [this, number] {
    ++metrics_.host.timed_out;
    end(number, lookup_failure("time limit exceeded"));
  });
  pending_.emplace(number, Pending{std::move(done), timer, clock_.mono()});
}

void RemoteLookup::receive(io::Message &m) {
  if (m.type != wire::LookupResult::kType) return;
  auto result = decode<wire::LookupResult>(m.payload);
  if (!result) return;
  io::TableAnswer answer;
  if (result->outcome <= static_cast<std::uint8_t>(io::TableAnswer::Outcome::TryLater))
    answer.outcome = static_cast<io::TableAnswer::Outcome>(result->outcome);
  if (answer.found() && result->values.empty()) answer.outcome = io::TableAnswer::Outcome::TryLater;
  answer.values = std::move(result->values);
  answer.text = std::move(result->text);
  answer.failed = result->failed;
  answer.ttl = result->ttl;
  end(result->number, answer);
}

void RemoteLookup::end(std::uint64_t number, const io::TableAnswer &answer) {
  auto node = pending_.extract(number);
  if (node.empty()) {
    ++metrics_.host.late;
    return;
  }
  timers_.cancel(node.mapped().timer);
  metrics_.host.busy += clock_.mono() - node.mapped().started;
  if (answer.outcome == io::TableAnswer::Outcome::TryLater) ++metrics_.host.failed;
  node.mapped().done(answer);
}

void RemoteLookup::fail_all(const std::string &why) {
  const auto answer = lookup_failure(why);
  std::vector<std::uint64_t> all;
  all.reserve(pending_.size());
  for (const auto &[number, pending] : pending_) all.push_back(number);
  for (const auto number : all) end(number, answer);
}

void RemoteLookup::stats(const StatsSink &add) const {
  metrics_.stats(fmt::format("{{lookup=\"{}\",isolation=\"process\"}}", name_), pending_.size(), add);
}

}  // namespace mansio::host
