// AuthService: the host process's side of an auth plugin: steps in, answers out, for the ingress processes that are
// attached. Each of them numbers its exchanges for itself; the plugin sees numbers that are its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "kernel/host/auth.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::host {

class AuthService {
 public:
  explicit AuthService(std::unique_ptr<AuthInstance> instance) : instance_(std::move(instance)) {}

  void greet(io::Channel &client);                                         // a new one: what is offered
  bool receive(const std::shared_ptr<io::Channel> &from, io::Message &m);  // false: not for it
  void gone(const io::Channel *client);
  const AuthInstance &instance() const { return *instance_; }

 private:
  using Key = std::pair<const io::Channel *, std::uint64_t>;  // who asked, and that one's number
  struct Exchange {
    std::uint64_t number = 0;  // the instance's
    bool asked = false;        // a step is under way
  };
  void start(const std::shared_ptr<io::Channel> &from, wire::AuthCall call);

  std::unique_ptr<AuthInstance> instance_;
  std::map<Key, Exchange> exchanges_;
};

}  // namespace mansio::host
