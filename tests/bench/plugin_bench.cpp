// What a lookup costs beyond the plugin's own function: in process, and in a process of its own, one at a time and
// pipelined. The plugin is the one of tests/abi/golden-1.0, which answers at once.
//   bench-plugin GOLDEN-LOOKUP.so
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

#include "kernel/host/lookup.hpp"
#include "kernel/host/remote.hpp"
#include "kernel/io/awake.hpp"

namespace {

using namespace mansio;
using Time = std::chrono::steady_clock;

constexpr int kInProcess = 2'000'000, kRoundTrips = 50'000, kPipelined = 1'000'000, kWindow = 512;

class Quiet final : public LogSink {
 public:
  void emit(LogLevel, std::string_view) override {}
};
class NoDns final : public io::Dns {
 public:
  void query(std::string_view, io::DnsType, std::function<void(const io::DnsResult &)>) override {}
};

double seconds_since(Time::time_point begin) { return std::chrono::duration<double>(Time::now() - begin).count(); }

// The plugin's function by itself: the same calls through a host that only counts.
struct CountingHost {
  std::size_t answers = 0;
};
CountingHost &counting(const mansio_host *host) { return *static_cast<CountingHost *>(host->ctx); }
const void *counting_service(const mansio_host *, const char *iface) {
  static constexpr mansio_host_op op{
      [](const mansio_host *, mansio_op, std::uint32_t, const mansio_reply *) {},
      [](const mansio_host *host, mansio_op, const mansio_reply *) { ++counting(host).answers; },
      [](const mansio_host *, mansio_op) { return 1; }};
  static constexpr mansio_host_config config{[](const mansio_host *, const char *) {
                                               return mansio_str{"golden", 6};
                                             },
                                             [](const mansio_host *, const char *) {
                                               return mansio_str{nullptr, 0};
                                             }};
  static constexpr mansio_host_metrics metrics{
      [](const mansio_host *, std::uint32_t, const char *, const char *) -> std::uint32_t { return 1; },
      [](const mansio_host *, std::uint32_t, std::int64_t) {}, [](const mansio_host *, std::uint32_t, std::int64_t) {}};
  const std::string_view id{iface};
  if (id == "mansio.host.op/1") return &op;
  if (id == "mansio.host.config/1") return &config;
  if (id == "mansio.host.metrics/1") return &metrics;
  return id.find("nothing") == id.npos ? "offered, not used" : nullptr;
}

double function_alone(const mansio_plugin &plugin) {
  CountingHost counts;
  const mansio_host host{sizeof host, MANSIO_ABI_MINOR, &counts, counting_service};
  void *self = nullptr;
  if (plugin.create(&host, &self) != MANSIO_OK) return -1;
  const auto *table = static_cast<const mansio_lookup *>(plugin.get(self, "mansio.lookup/1"));
  const mansio_lookup_request request{sizeof request, 0, {"t", 1}, {"user@example.com", 16}, 0};
  const auto begin = Time::now();
  for (int i = 0; i < kInProcess; ++i) table->start(self, mansio_op{static_cast<std::uint64_t>(i) + 1}, &request);
  const auto each = seconds_since(begin) / kInProcess;
  plugin.destroy(self);
  return counts.answers == kInProcess ? each : -1;
}

// What the system takes for it alone: as many bytes there and back between two processes that wait in epoll. Median, in
// seconds; negative: it could not be measured.
double bare_round_trip() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -1;
  char bytes[64] = {};
  const auto waits = [](int fd) {
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event event{EPOLLIN, {}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    return epoll;
  };
  const auto comes = [&](int epoll, int fd) {
    epoll_event event;
    return ::epoll_wait(epoll, &event, 1, -1) == 1 && ::read(fd, bytes, sizeof bytes) == sizeof bytes;
  };
  const auto pid = ::fork();
  if (pid == 0) {
    ::close(ends[0]);
    const auto epoll = waits(ends[1]);
    while (comes(epoll, ends[1]) && ::write(ends[1], bytes, sizeof bytes) == sizeof bytes) continue;
    ::_exit(0);
  }
  ::close(ends[1]);
  const auto epoll = waits(ends[0]);
  std::vector<double> trips;
  for (int i = 0; pid > 0 && i < kRoundTrips; ++i) {
    const auto begin = Time::now();
    if (::write(ends[0], bytes, sizeof bytes) != sizeof bytes || !comes(epoll, ends[0])) break;
    trips.push_back(seconds_since(begin));
  }
  ::close(epoll);
  ::close(ends[0]);
  if (pid > 0) ::waitpid(pid, nullptr, 0);
  std::sort(trips.begin(), trips.end());
  return trips.empty() ? -1 : trips[trips.size() / 2];
}

// The other process: what the host role does, without the rest of a role.
void serve(io::UniqueFd socket, const mansio_plugin &plugin, const std::map<std::string, std::string> &options) {
  asio::io_context loop{1};
  SystemClock clock;
  Quiet sink;
  Logger log{sink, clock, "host"};
  NoDns dns;
  auto lookup = host::LookupInstance::create({loop, clock, log, dns}, plugin, {"bench", options, {}, {}});
  if (!lookup) return;
  const auto channel = io::Channel::create(loop, std::move(socket));
  io::Awake awake{loop};
  channel->expect_one_by_one();
  channel->start(
      [&](io::Message &m) {
        awake.has_come();
        const auto call = decode<wire::LookupCall>(m.payload);
        if (!call) return;
        (*lookup)->lookup(call->key, call->time_limit, [&, number = call->number](const io::TableAnswer &a) {
          channel->send(
              wire::LookupResult{number, static_cast<std::uint8_t>(a.outcome), a.values, a.text, a.failed, a.ttl});
        });
        awake.expect();
      },
      [&](std::string_view) { loop.stop(); });
  loop.run();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: bench-plugin GOLDEN-LOOKUP.so\n"), 64;
  const auto plugin = host::load_plugin(argv[1]);
  if (!plugin) return std::fprintf(stderr, "%s\n", plugin.error().text.c_str()), 1;
  const auto options = host::check_options(**plugin, {});
  asio::io_context loop{1};
  SystemClock clock;
  Quiet sink;
  Logger log{sink, clock, "bench"};
  NoDns dns;

  const auto alone = function_alone(**plugin);
  const auto bare = bare_round_trip();
  double inside = 0;
  {
    auto lookup = host::LookupInstance::create({loop, clock, log, dns}, **plugin, {"bench", *options, {}, {}});
    if (!lookup || alone < 0) return std::fprintf(stderr, "the plugin does not start\n"), 1;
    std::size_t answers = 0;
    const auto begin = Time::now();
    for (int i = 0; i < kInProcess; ++i)
      (*lookup)->lookup("user@example.com", 10 * kSecond, [&](const io::TableAnswer &) { ++answers; });
    inside = seconds_since(begin) / kInProcess;
    if (answers != kInProcess) return 1;
  }

  auto pair = io::channel_pair();
  if (!pair) return 1;
  const auto pid = ::fork();
  if (pid == 0) {
    pair->first.reset();
    serve(std::move(pair->second), **plugin, *options);
    ::_exit(0);
  }
  pair->second.reset();
  std::vector<double> trips;
  double rate = 0;
  {
    host::RemoteLookup remote{loop, clock, "bench", kWindow};
    remote.attach(io::Channel::create(loop, std::move(pair->first)));
    std::size_t answers = 0;
    const auto ask = [&] {
      remote.lookup("user@example.com", 10 * kSecond, [&](const io::TableAnswer &a) { answers += a.found(); });
    };
    for (int i = 0; i < kRoundTrips + 1000; ++i) {
      const auto begin = Time::now();
      const auto before = answers;
      ask();
      while (answers == before) loop.run_one();
      if (i >= 1000) trips.push_back(seconds_since(begin));
    }
    answers = 0;
    std::size_t asked = 0;
    const auto begin = Time::now();
    while (answers < kPipelined) {
      while (asked - answers < kWindow && asked < kPipelined) {
        ask();
        ++asked;
      }
      loop.run_one();
    }
    rate = kPipelined / seconds_since(begin);
  }
  ::waitpid(pid, nullptr, 0);
  std::sort(trips.begin(), trips.end());
  fmt::print(
      "{{\"function_ns\": {:.0f}, \"in_process_over_function_ns\": {:.0f}, \"isolated_median_us\": {:.1f}, "
      "\"isolated_p99_us\": {:.1f}, \"bare_median_us\": {:.1f}, \"isolated_pipelined_per_second\": {:.0f}}}\n",
      alone * 1e9, (inside - alone) * 1e9, trips[trips.size() / 2] * 1e6, trips[trips.size() * 99 / 100] * 1e6,
      bare * 1e6, rate);
  return 0;
}
