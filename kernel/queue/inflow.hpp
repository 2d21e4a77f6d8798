// Inflow: which clients bring how much mail, for the time when it comes in faster than it goes out (in_flow_delay). The
// queue keeps it because it alone sees the mail of all ingress processes. Pure: the caller gives the time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel/base/clock.hpp"

namespace mansio::queue {

class Inflow {
 public:
  void took(const std::string &client, Nanos now);  // a message; monotonic time; the client is a network or "unix"
  // Those that bring at least the average of all that bring any, the heaviest `limit` of them, sorted by name.
  std::vector<std::string> heavy(Nanos now, std::size_t limit);
  std::size_t clients() const { return clients_.size(); }

 private:
  // Messages, each counting for less the older it is: e^(-age / kMemory).
  struct Count {
    double value = 0;
    Nanos at = 0;
    double now(Nanos t) const;
  };
  void forget_idle(Nanos now);

  std::unordered_map<std::string, Count> clients_;
  Nanos swept_ = 0;
};

}  // namespace mansio::queue
