// Listening sockets: opened once by the supervisor (ports below 1024 need root), kept over reloads, inherited by
// every ingress, so that the death of one resets nobody's backlog.
#pragma once

#include <string>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/config/plan.hpp"
#include "kernel/io/fd.hpp"

namespace mansio::supervisor {

struct OpenListener {
  std::string listener;         // [listener.NAME]
  config::PlanAddress address;  // as configured
  std::string shown;            // with the port the system chose for port 0
  io::UniqueFd fd;
};

// Bound and listening, non-blocking, close-on-exec. Status::Busy: the address is in use; Unsupported: this host
// lacks the address family.
Result<OpenListener> open_listener(const std::string &listener, const config::PlanAddress &address);

class Listeners {
 public:
  // Opens what `plan` has and we do not; nothing changes on failure.
  Result<void> open(const std::vector<config::PlanListener> &plan);
  // Closes what `plan` lacks: the new plan once it is in force, or the running one when the new one failed.
  void keep_only(const std::vector<config::PlanListener> &plan);
  void close() { open_.clear(); }
  const std::vector<OpenListener> &all() const { return open_; }

 private:
  std::vector<OpenListener> open_;
};

}  // namespace mansio::supervisor
