// What a long queue costs the index and the scheduler: bytes a message, and time to take one in, to decide which goes
// next, and to put it back; from a thousand messages to ten million, spread over up to 100,000 destinations. Bodies are
// simulated: nothing is read or written. Each size runs in a process of its own, so that sizes do not share memory.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "kernel/queue/index.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace {

using namespace mansio;

constexpr std::uint64_t kDecisions = 300'000;
// Half an hour before the scheduler's wheel turns at its coarsest, every 39 hours: then all that waits moves once. The
// cost of a decision is taken before, the longest step across it.
constexpr Nanos kTurn = Nanos{1} << 47, kBegin = kTurn - 1800 * kSecond;
constexpr Nanos kSpan = 4000 * kSecond;  // retries are spread over this

std::uint64_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Of this thread: what else runs on the machine does not count.
double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

std::uint64_t random_state = 1;
std::uint64_t random_below(std::uint64_t n) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % n;
}

void measure(std::uint64_t messages) {
  const auto destinations = std::min<std::uint64_t>(std::max<std::uint64_t>(messages / 100, 10), 100'000);
  queue::Index index;
  queue::Reasons reasons;
  const auto scheduler = scheduler::Scheduler::create({}, 1);
  const auto transport = scheduler->transport({.name = "smtp", .sessions = 1000});
  scheduler->transport_available(transport, 1000);
  scheduler->on_soon([&](scheduler::GroupId group) { index.prefetch(group); });
  std::vector<std::string> names;
  for (std::uint64_t i = 0; i < destinations; ++i) names.push_back(fmt::format("destination{}.example.com", i));

  (void)scheduler->next(kBegin);
  const auto empty = resident_bytes();
  auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < messages; ++i) {
    const auto segment = static_cast<std::uint32_t>(i / 25'000 + 1);
    const spool::Place at{segment, segment, i % 25'000 * 2600 + 4120, 24};
    const auto slot = index.add({MessageId{i + 1}, at, at, at});
    const auto group = index.add_group(slot);
    index.group(group).recipients.push({0, 0});
    index.group(group).attempts = 1;
    index.set_state(group, queue::GroupState::Scheduled);
    const auto destination = scheduler->destination(transport, names[random_below(destinations)]);
    scheduler->add_deferred({.id = group, .transport = transport, .destination = destination},
                            kBegin + static_cast<Nanos>(random_below(kSpan)), kBegin);
  }
  const auto add = seconds_since(begin) / static_cast<double>(messages);
  const auto bytes = (resident_bytes() - empty) / messages;

  Nanos now = kBegin;
  // Goes on in time if there is nothing to decide; else the group goes out, fails, and waits again.
  const auto step = [&] {
    const auto decision = scheduler->next(now);
    if (!decision) {
      now = *scheduler->next_due();
      return 0;
    }
    index.set_state(decision->group, queue::GroupState::Leased);
    scheduler->finished(decision->group, scheduler::Result::Delivered, kSpan, now);
    index.set_state(decision->group, queue::GroupState::Scheduled);
    return 1;
  };
  begin = std::chrono::steady_clock::now();
  for (std::uint64_t n = 0; n < kDecisions;) n += step();
  const auto decide = seconds_since(begin) / static_cast<double>(kDecisions);
  double longest = 0;
  now = std::max(now, kTurn - kSecond);
  for (std::uint64_t n = 0; n < kDecisions;) {
    const auto one = cpu_seconds();
    n += step();
    longest = std::max(longest, cpu_seconds() - one);
  }

  begin = std::chrono::steady_clock::now();
  const auto found = [&] {
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < kDecisions; ++i)
      n += index.find(MessageId{random_below(messages) + 1}) != queue::kNone;
    return n;
  }();
  const auto find = seconds_since(begin) / static_cast<double>(found);
  std::puts(fmt::format("{:>10} {:>8} {:>10} {:>9.0f} {:>12.0f} {:>11.0f} {:>12.3f}", messages, destinations, bytes,
                        add * 1e9, decide * 1e9, find * 1e9, longest * 1e3)
                .c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char **argv) {
  std::puts("  messages  destin.  bytes/msg  add (ns)  decide (ns)   find (ns)  longest (ms)");
  std::fflush(stdout);
  std::vector<std::uint64_t> sizes{1000, 10'000, 100'000, 1'000'000, 10'000'000};
  if (argc > 1) {
    sizes.clear();
    for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  }
  for (const auto size : sizes) {
    const auto child = ::fork();
    if (child == 0) {
      measure(size);
      std::_Exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) return 1;
  }
  return 0;
}
