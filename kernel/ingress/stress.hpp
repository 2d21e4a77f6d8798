// Stress: a listener that runs out of places (`connection_limit`) or of descriptors spends less time on each client,
// and goes on so until it has had room for `stress_time`. It is not the process that is under stress but the listener:
// all ingress processes know of it by the census, so that those whose sessions are idle help the one that has no place.
//
// Sessions look at their limits when they need them and not when they begin: those that hold the places are the ones
// that are to leave. Decision 0066; docs/operations.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/ingress/environment.hpp"

namespace mansio::ingress {

// What binds an SMTP session at the moment. A value for times of stress never is more than the usual one.
struct SessionLimits {
  Nanos timeout = 0, starttls_timeout = 0;
  std::uint32_t hard_error_limit = 0, junk_command_limit = 0;
  bool per_request_deadline = false;
};
SessionLimits limits_of(const Service &service);

// Sets `stressed` of the services of one process. Used on its loop's thread only.
class StressWatch {
 public:
  explicit StressWatch(const Environment &environment) : env_(environment) {}

  void watch(Service &service);  // which outlives this; any number of times
  void admitted(Service &service);
  // A client was sent away, or not even taken, for want of what `why` says.
  void refused(Service &service, std::string_view why);
  // Has it begun or ended, here or in another process? To be called a few times a second while there are sessions, and
  // now and then when there are none.
  void look();

 private:
  void begin_or_prolong(Service &service, std::string_view why);

  const Environment &env_;
  std::vector<Service *> services_;
};

}  // namespace mansio::ingress
