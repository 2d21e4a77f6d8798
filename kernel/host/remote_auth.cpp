#include "kernel/host/remote_auth.hpp"

#include <fmt/format.h>

#include <utility>

namespace mansio::host {

RemoteAuth::RemoteAuth(asio::io_context &loop, const Clock &clock, std::string name, std::size_t in_flight_limit)
    : name_(std::move(name)), calls_(loop, clock, in_flight_limit, auth_failure, [](const wire::AuthResult &result) {
        return result.outcome == wire::AuthOutcome::Failed;
      }) {}

void RemoteAuth::attach(std::shared_ptr<io::Channel> channel) {
  calls_.attach(std::move(channel), [this](io::Message &m) { receive(m); });
}

void RemoteAuth::start(wire::AuthCall call, Done done) {
  const auto exchange = call.exchange;
  calls_.start(std::move(call), std::move(done), [this, exchange] {
    forget(exchange);  // it may still answer with a challenge
  });
}

void RemoteAuth::forget(std::uint64_t exchange) { calls_.tell(wire::AuthForget{exchange}); }

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
  calls_.end(number, valid(*result) ? std::move(*result) : auth_failure("it answered what breaks the rules"));
}

void RemoteAuth::stats(const StatsSink &add) const {
  calls_.stats(fmt::format("{{auth=\"{}\",isolation=\"process\"}}", name_), add);
}

}  // namespace mansio::host
