#include <fmt/format.h>

#include <utility>

#include "kernel/host/large.hpp"
#include "kernel/host/remote.hpp"
#include "kernel/host/reply.hpp"

namespace mansio::host {

RemoteLookup::RemoteLookup(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit,
                           bool stays_awake)
    : name_(std::move(name)),
      calls_(
          loop, clock, in_flight_limit, lookup_failure,
          [](const io::TableAnswer &answer) { return answer.outcome == io::TableAnswer::Outcome::TryLater; },
          stays_awake) {}

void RemoteLookup::attach(std::shared_ptr<io::Channel> channel) {
  calls_.attach(std::move(channel), [this](io::Message &m) { receive(m); });
}

void RemoteLookup::lookup(std::string_view key, Nanos time_limit, Done done) {
  calls_.start(wire::LookupCall{0, std::string{key}, time_limit}, std::move(done));
}

void RemoteLookup::receive(io::Message &m) {
  const auto message = received(m);
  if (!message || message->type != wire::LookupResult::kType) return;  // its time limit tells
  auto result = decode<wire::LookupResult>(message->payload());
  if (!result) return;
  io::TableAnswer answer;
  if (result->outcome <= static_cast<std::uint8_t>(io::TableAnswer::Outcome::TryLater))
    answer.outcome = static_cast<io::TableAnswer::Outcome>(result->outcome);
  if (answer.found() && (result->values.empty() || too_much(result->values)))
    answer.outcome = io::TableAnswer::Outcome::TryLater;
  if (answer.found()) answer.values = std::move(result->values);
  answer.text = safe_text(result->text);
  answer.failed = result->failed;
  answer.ttl = result->ttl;
  calls_.end(result->number, std::move(answer));
}

void RemoteLookup::stats(const StatsSink &add) const {
  calls_.stats(fmt::format("{{lookup=\"{}\",isolation=\"process\"}}", name_), add);
}

}  // namespace mansio::host
