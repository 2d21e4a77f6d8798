// AuthInstance: an auth plugin at work, wherever its code runs. It says who a client is, or that it cannot say;
// whatever goes wrong with it lets nobody in.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kernel/host/plugin.hpp"
#include "kernel/wire/auth_messages.hpp"

namespace mansio::host {

// All calls on the loop's thread, create() included.
class AuthInstance {
 public:
  using Done = std::function<void(wire::AuthResult &&)>;

  // In this process.
  static Result<std::unique_ptr<AuthInstance>> create(const Surroundings &around, const mansio_plugin &plugin,
                                                      InstanceOptions options);
  virtual ~AuthInstance() = default;  // what is under way is never answered

  // What it offers in clear, or under TLS: names in capitals, separated by blanks; "" while nobody knows.
  virtual std::string mechanisms(bool clear) const = 0;
  // A number for an exchange that begins.
  virtual std::uint64_t exchange() = 0;
  // One step of it. `done` runs once, on the loop, never inside plugin code, perhaps before this returns; with Failed
  // when the plugin does not answer within the call's time limit, fails or has too much to do.
  virtual void start(wire::AuthCall call, Done done) = 0;
  virtual void forget(std::uint64_t exchange) = 0;  // given up before its end

  virtual std::size_t in_flight() const = 0;
  virtual std::uint64_t misbehaviours() const = 0;
  virtual void stats(const StatsSink &add) const = 0;
};

wire::AuthResult auth_failure(std::string why);

// A list of mechanisms as EHLO may show it: names that RFC 4422 allows, in capitals, each once; others are left out.
std::string canonical_mechanisms(std::string_view names);

// Of an answer: a name that can stand in logs, header fields and envelopes, a challenge that fits into a line of
// RFC 4954. One that is not has broken the rules. Checked where the plugin runs and where the answer arrives.
bool valid(const wire::AuthResult &result);

}  // namespace mansio::host
