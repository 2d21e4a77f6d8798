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
    if (const auto given_up = decode<wire::AuthForget>(m.payload)) forget({from.get(), given_up->exchange});
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
    known = exchanges_.emplace(key, instance_->exchange()).first;
  }
  call.exchange = known->second;
  instance_->start(std::move(call), [this, key, number, weak = std::weak_ptr{from}](wire::AuthResult &&result) {
    const auto to = weak.lock();
    if (!to) return;  // and gone() has forgotten the exchange
    if (result.outcome != wire::AuthOutcome::Continue) exchanges_.erase(key);
    result.number = number;
    to->send(result);
  });
}

void AuthService::forget(const Key &key) {
  const auto node = exchanges_.extract(key);
  if (!node.empty()) instance_->forget(node.mapped());
}

void AuthService::gone(const io::Channel *client) {
  std::vector<Key> all;
  for (const auto &[key, number] : exchanges_)
    if (key.first == client) all.push_back(key);
  for (const auto &key : all) forget(key);
}

}  // namespace mansio::host
