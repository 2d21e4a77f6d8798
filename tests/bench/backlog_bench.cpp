// What a long queue costs the index and the scheduler: bytes a message, and time to take one in, to decide which goes
// next, and to put it back; from a thousand messages to ten million, spread over up to 100,000 destinations. Bodies are
// simulated: nothing is read or written. Each size runs in a process of its own, so that sizes do not share memory, and
// by turns with the others, so that what else the machine does meets all of them: a figure is the median of its rounds,
// and of CPU time.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "kernel/queue/index.hpp"
#include "kernel/scheduler/scheduler.hpp"

namespace {

using namespace mansio;

constexpr int kRounds = 15;
// The rounds together try each message once or more often, so all that keeping one in the scheduler's wheel costs from
// one attempt to the next is in them.
constexpr std::uint64_t kDecisions = 70'000;  // in a round, at least
constexpr Nanos kSpan = 4000 * kSecond;       // retries are spread over this
constexpr std::uint64_t kFound = 300'000, kStepped = 300'000;
// Every 39 hours the scheduler's wheel turns at its coarsest: then all that waits beyond moves. The longest step is
// taken across it, decisions are not: they end before what is put back lies beyond.
constexpr Nanos kTurn = Nanos{1} << 47, kBegin = kTurn - 3 * kSpan - 1000 * kSecond;

std::uint64_t resident_bytes() {
  std::ifstream file{"/proc/self/statm"};
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
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

// A queue with so many messages waiting.
class Backlog {
 public:
  explicit Backlog(std::uint64_t messages)
      : messages_{messages},
        destinations_{std::min<std::uint64_t>(std::max<std::uint64_t>(messages / 100, 10), 100'000)} {
    transport_ = scheduler_->transport({.name = "smtp", .sessions = 1000});
    scheduler_->transport_available(transport_, 1000);
    scheduler_->on_soon([this](scheduler::GroupId group) { index_.prefetch(group); });
  }

  std::uint64_t messages() const { return messages_; }
  std::uint64_t destinations() const { return destinations_; }

  // Seconds a message.
  double fill() {
    std::vector<std::string> names;
    for (std::uint64_t i = 0; i < destinations_; ++i) names.push_back(fmt::format("destination{}.example.com", i));
    (void)scheduler_->next(kBegin);
    empty_ = resident_bytes();
    const auto begin = cpu_seconds();
    for (std::uint64_t i = 0; i < messages_; ++i) {
      const auto segment = static_cast<std::uint32_t>(i / 25'000 + 1);
      const spool::Place at{segment, segment, i % 25'000 * 2600 + 4120, 24};
      const auto slot = index_.add({MessageId{i + 1}, at, at, at});
      const auto group = index_.add_group(slot);
      index_.group(group).recipients.push({0, 0});
      index_.group(group).attempts = 1;
      index_.set_state(group, queue::GroupState::Scheduled);
      const auto destination = scheduler_->destination(transport_, names[random_below(destinations_)]);
      scheduler_->add_deferred({.id = group, .transport = transport_, .destination = destination},
                               kBegin + static_cast<Nanos>(random_below(kSpan)), kBegin);
    }
    return (cpu_seconds() - begin) / static_cast<double>(messages_);
  }
  double bytes() const { return static_cast<double>(resident_bytes() - empty_) / static_cast<double>(messages_); }

  // Tries each message once: from then on all wait as they do after many attempts.
  double settle() {
    for (std::uint64_t n = 0; n < messages_;) n += step();
    return static_cast<double>(messages_);
  }
  // Seconds a decision.
  double decide() {
    const auto decisions = std::max(kDecisions, messages_ / kRounds);
    const auto begin = cpu_seconds();
    for (std::uint64_t n = 0; n < decisions;) n += step();
    return (cpu_seconds() - begin) / static_cast<double>(decisions);
  }
  double find() {
    std::uint64_t found = 0;
    const auto begin = cpu_seconds();
    for (std::uint64_t i = 0; i < kFound; ++i)
      found += index_.find(MessageId{random_below(messages_) + 1}) != queue::kNone;
    return (cpu_seconds() - begin) / static_cast<double>(found);
  }
  double longest() {
    while (now_ < kTurn - kSecond) step();
    double longest = 0;
    for (std::uint64_t n = 0; n < kStepped;) {
      const auto begin = cpu_seconds();
      n += step();
      longest = std::max(longest, cpu_seconds() - begin);
    }
    return longest;
  }

 private:
  // Goes on in time if there is nothing to decide; else the group goes out, fails, and waits again.
  std::uint64_t step() {
    const auto decision = scheduler_->next(now_);
    if (!decision) {
      now_ = *scheduler_->next_due();
      return 0;
    }
    index_.set_state(decision->group, queue::GroupState::Leased);
    scheduler_->finished(decision->group, scheduler::Result::Delivered, kSpan, now_);
    index_.set_state(decision->group, queue::GroupState::Scheduled);
    return 1;
  }

  const std::uint64_t messages_, destinations_;
  queue::Index index_;
  queue::Reasons reasons_;
  const std::unique_ptr<scheduler::Scheduler> scheduler_ = scheduler::Scheduler::create({}, 1);
  scheduler::TransportId transport_ = 0;
  std::uint64_t empty_ = 0;
  Nanos now_ = kBegin;
};

// A backlog in a process of its own, which does what it is told to and answers with a number.
class Process {
 public:
  explicit Process(std::uint64_t messages) : messages_{messages} {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) std::exit(1);
    socket_ = ends[0];
    if (::fork() != 0) {
      ::close(ends[1]);
      return;
    }
    ::close(ends[0]);
    serve(Backlog{messages}, ends[1]);
    std::_Exit(0);
  }

  std::uint64_t messages() const { return messages_; }
  double tell(char what) const {
    double answer = 0;
    if (::write(socket_, &what, 1) != 1 || ::read(socket_, &answer, sizeof answer) != sizeof answer) std::exit(1);
    return answer;
  }

 private:
  static void serve(Backlog &&backlog, int socket) {
    for (char what = 0; ::read(socket, &what, 1) == 1;) {
      const double answer = what == 'a'   ? backlog.fill()
                            : what == 'b' ? backlog.bytes()
                            : what == 'n' ? static_cast<double>(backlog.destinations())
                            : what == 's' ? backlog.settle()
                            : what == 'd' ? backlog.decide()
                            : what == 'f' ? backlog.find()
                                          : backlog.longest();
      if (::write(socket, &answer, sizeof answer) != sizeof answer) return;
    }
  }

  std::uint64_t messages_;
  int socket_ = -1;
};

double median(std::vector<double> of) {
  std::sort(of.begin(), of.end());
  return of[of.size() / 2];
}

}  // namespace

int main(int argc, char **argv) {
  std::vector<std::uint64_t> sizes{1000, 10'000, 100'000, 1'000'000, 10'000'000};
  if (argc > 1) {
    sizes.clear();
    for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  }
  struct Row {
    Process process;
    double destinations, add, bytes;
    std::vector<double> decide, ratio;  // to the first size in the same round
  };
  std::vector<Row> rows;
  for (const auto size : sizes) {
    Process p{size};
    const auto destinations = p.tell('n'), add = p.tell('a'), bytes = p.tell('b');
    rows.push_back({p, destinations, add, bytes, {}, {}});
  }
  for (const auto &row : rows) row.process.tell('s');
  for (int round = 0; round < kRounds; ++round) {
    for (auto &row : rows) {
      row.decide.push_back(row.process.tell('d'));
      row.ratio.push_back(row.decide.back() / rows.front().decide.back());
    }
  }
  std::puts("  messages  destin.  bytes/msg  add (ns)  decide (ns)   ratio   find (ns)  longest (ms)");
  for (const auto &row : rows)
    std::puts(fmt::format("{:>10} {:>8.0f} {:>10.0f} {:>9.0f} {:>12.0f} {:>7.2f} {:>11.0f} {:>12.3f}",
                          row.process.messages(), row.destinations, row.bytes, row.add * 1e9, median(row.decide) * 1e9,
                          median(row.ratio), row.process.tell('f') * 1e9, row.process.tell('l') * 1e3)
                  .c_str());
  return 0;
}
