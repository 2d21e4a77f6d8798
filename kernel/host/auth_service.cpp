#include "kernel/host/auth_service.hpp"

#include <vector>

namespace mansio::host {

void AuthService::greet(io::Channel &client) {
  client.send(wire::AuthOffer{instance_->mechanisms(true), instance_->mechanisms(false)});
}

bool AuthService::receive(const std::shared_ptr<io::Channel> &from, io::Message &m) {
  if (m.type == wire::AuthCall::kType) {
    if (auto call = decode<wire::AuthCall>(m.payload)) start(from, std::move(*call));
    return true;
  }
  if (m.type == wire::AuthForget::kType) {
    const auto given_up = decode<wire::AuthForget>(m.payload);
    if (!given_up) return true;
    const auto node = exchanges_.extract(Key{from.get(), given_up->exchange});
    if (!node.empty() && !node.mapped().asked) instance_->forget(node.mapped().number);
    return true;
  }
  return false;
}

void AuthService::start(const std::shared_ptr<io::Channel> &from, wire::AuthCall call) {
  const Key key{from.get(), call.exchange};
  const auto number = call.number;
  auto known = exchanges_.find(key);
  if (known == exchanges_.end()) {
    if (call.step != 0) {  // begun in a process that is no more
      auto lost = auth_failure("its process ended during the exchange");
      lost.number = number;
      from->send(lost);
      return;
    }
    known = exchanges_.emplace(key, Exchange{instance_->exchange(), false}).first;
  }
  known->second.asked = true;
  const auto exchange = call.exchange = known->second.number;
  instance_->start(std::move(call),
                   [this, key, number, exchange, weak = std::weak_ptr{from}](wire::AuthResult &&result) {
                     const bool goes_on = result.outcome == wire::AuthOutcome::Continue;
                     const auto to = weak.lock();
                     const auto mine = to ? exchanges_.find(key) : exchanges_.end();
                     if (mine == exchanges_.end()) {  // nobody is there to go on with it
                       if (goes_on) instance_->forget(exchange);
                       return;
                     }
                     mine->second.asked = false;
                     if (!goes_on) exchanges_.erase(mine);
                     result.number = number;
                     to->send(result);
                   });
}

void AuthService::gone(const io::Channel *client) {
  std::vector<std::uint64_t> waiting;
  for (const auto &[key, exchange] : exchanges_)
    if (key.first == client && !exchange.asked) waiting.push_back(exchange.number);
  std::erase_if(exchanges_, [&](const auto &each) { return each.first.first == client; });
  for (const auto number : waiting) instance_->forget(number);
}

}  // namespace mansio::host
