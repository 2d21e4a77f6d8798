#include "kernel/base/clock.hpp"

#include <ctime>

namespace mansio {
namespace {

Nanos read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return static_cast<Nanos>(t.tv_sec) * kSecond + t.tv_nsec;
}

}  // namespace

Nanos SystemClock::wall() const { return read_clock(CLOCK_REALTIME); }
Nanos SystemClock::mono() const { return read_clock(CLOCK_BOOTTIME); }

}  // namespace mansio
