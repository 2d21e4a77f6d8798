// What a hook of a script costs beside a host that only counts: one that is empty, one that asks a table whose answers
// the script keeps, and the memory of many that wait.
//   bench-lua LUA.so
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/host/plugin.hpp"
#include "mansio/draft/filter.h"

namespace {

using namespace mansio;
using Time = std::chrono::steady_clock;

constexpr std::uint64_t kCalls = 1'000'000, kWarmUp = 10'000, kSuspended = 10'000;

constexpr std::string_view kEmpty = "mansio.on('rcpt', function() end)";
constexpr std::string_view kCached = R"(
  local user = mansio.memoize(function(address) return mansio.lookup("users", address) end, {ttl = "1h"})
  mansio.on("rcpt", function(_, rcpt)
    if not user(rcpt.address) then return mansio.reject("5.1.1", "no such user") end
  end)
)";
constexpr std::string_view kAsleep = "mansio.on('rcpt', function() mansio.sleep('1h') end)";

// Answers lookups when drain() is called, and timers when they are told to fire; each answer that it hears must be OK.
struct CountingHost {
  std::map<std::string, std::string> options;
  std::uint64_t answers = 0, wrong = 0, asked = 0;
  std::vector<std::pair<mansio_lookup_fn, void *>> lookups;
  std::vector<std::pair<mansio_timer_fn, void *>> timers;

  void drain() {
    for (const auto &[done, arg] : std::exchange(lookups, {})) {
      const mansio_str value{"1", 1};
      mansio_reply reply{};
      reply.size = sizeof reply;
      reply.status = MANSIO_OK;
      reply.values = &value;
      reply.n_values = 1;
      done(arg, &reply);
    }
  }
  void fire() {
    for (const auto &[fire_one, arg] : std::exchange(timers, {})) fire_one(arg);
  }
};
CountingHost &of(const mansio_host *host) { return *static_cast<CountingHost *>(host->ctx); }

std::int64_t now_ns() { return std::chrono::nanoseconds{Time::now().time_since_epoch()}.count(); }

const void *service(const mansio_host *, const char *iface) {
  static constexpr mansio_host_op op{[](const mansio_host *, mansio_op, std::uint32_t, const mansio_reply *) {},
                                     [](const mansio_host *host, mansio_op, const mansio_reply *reply) {
                                       ++of(host).answers;
                                       if (reply->status != MANSIO_OK) ++of(host).wrong;
                                     },
                                     [](const mansio_host *, mansio_op) { return 1; }};
  static constexpr mansio_host_config config{[](const mansio_host *host, const char *name) {
                                               const auto found = of(host).options.find(name);
                                               return found == of(host).options.end()
                                                          ? mansio_str{nullptr, 0}
                                                          : mansio_str{found->second.data(), found->second.size()};
                                             },
                                             [](const mansio_host *, const char *) {
                                               return mansio_str{nullptr, 0};
                                             }};
  static constexpr auto complain = [](mansio_str text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.n), text.p);
  };
  static constexpr mansio_host_log logging{
      [](const mansio_host *, int, mansio_op, mansio_str text) { complain(text); }};
  static constexpr mansio_host_problem problem{
      [](const mansio_host *, mansio_str, mansio_str text) { complain(text); }};
  static constexpr mansio_host_reactor reactor{
      [](const mansio_host *, int, int, mansio_ready_fn, void *) -> mansio_status { return MANSIO_FAIL; },
      [](const mansio_host *, int) {},
      [](const mansio_host *host, std::int64_t, mansio_timer_fn fire, void *arg) -> std::uint64_t {
        of(host).timers.emplace_back(fire, arg);
        return of(host).timers.size();
      },
      [](const mansio_host *, std::uint64_t) {},
      [](const mansio_host *, mansio_timer_fn, void *) {},
      [](const mansio_host *) { return now_ns(); }};
  static constexpr mansio_host_lookup lookup{
      [](const mansio_host *host, mansio_str, mansio_str, mansio_lookup_fn done, void *arg) {
        ++of(host).asked;
        of(host).lookups.emplace_back(done, arg);
      }};
  const std::string_view id{iface};
  if (id == "mansio.host.op/1") return &op;
  if (id == "mansio.host.config/1") return &config;
  if (id == "mansio.host.log/1") return &logging;
  if (id == "mansio.host.problem/1") return &problem;
  if (id == "mansio.host.reactor/1") return &reactor;
  if (id == "mansio.host.lookup/1") return &lookup;
  return "offered, not used";
}

// An instance of the plugin with one script.
class Scripted {
 public:
  Scripted(const mansio_plugin &plugin, std::string_view text) : plugin_(plugin), fd_(::memfd_create("script", 0)) {
    const auto path = "/proc/self/fd/" + std::to_string(fd_);
    if (::write(fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) return;
    const auto options = host::check_options(plugin, {{"script", path}});
    if (!options) {
      std::fprintf(stderr, "%s\n", options.error().text.c_str());
      return;
    }
    counts.options = *options;
    if (plugin.create(&host_, &self_) == MANSIO_OK)
      filter_ = static_cast<const mansio_filter *>(plugin.get(self_, host::kPolicyKind));
  }
  ~Scripted() {
    if (self_) plugin_.destroy(self_);
    ::close(fd_);
  }
  Scripted(const Scripted &) = delete;
  Scripted &operator=(const Scripted &) = delete;
  bool runs() const { return filter_ != nullptr; }

  // One recipient, with the facts that Mansio tells of its session.
  void rcpt() {
    static constexpr auto str = [](std::string_view s) { return mansio_str{s.data(), s.size()}; };
    static const mansio_str address = str("alice@example.com");
    static const mansio_pair macros[] = {{str("client_address"), str("192.0.2.1")},
                                         {str("client_name"), str("client.example")},
                                         {str("client_port"), str("25025")},
                                         {str("helo_name"), str("client.example")},
                                         {str("protocol"), str("ESMTP")},
                                         {str("listener"), str("smtp")},
                                         {str("myhostname"), str("mx.example.com")},
                                         {str("sender"), str("a@example.org")},
                                         {str("recipient_count"), str("0")}};
    mansio_stage stage{};
    stage.size = sizeof stage;
    stage.stage = MANSIO_STAGE_RCPT;
    stage.session = str("0.1");
    stage.queue_id = str("0123456789ABC");
    stage.arguments = &address;
    stage.n_arguments = 1;
    stage.macros = macros;
    stage.n_macros = std::size(macros);
    stage.deadline = now_ns() + 3'600'000'000'000;
    filter_->start(self_, mansio_op{++ops_}, &stage);
  }

  CountingHost counts;

 private:
  const mansio_plugin &plugin_;
  int fd_;
  mansio_host host_{sizeof(mansio_host), MANSIO_ABI_MINOR, &counts, service};
  void *self_ = nullptr;
  const mansio_filter *filter_ = nullptr;
  std::uint64_t ops_ = 0;
};

// Microseconds a call; < 0 when something went wrong.
double each_us(const mansio_plugin &plugin, std::string_view script) {
  Scripted s{plugin, script};
  if (!s.runs()) return -1;
  const auto run = [&](std::uint64_t calls) {
    for (std::uint64_t i = 0; i < calls; ++i) {
      s.rcpt();
      if (!s.counts.lookups.empty()) s.counts.drain();
    }
  };
  run(kWarmUp);
  const auto begin = Time::now();
  run(kCalls);
  const std::chrono::duration<double, std::micro> took = Time::now() - begin;
  // States are made anew now and then, and ask anew.
  if (s.counts.answers != kWarmUp + kCalls || s.counts.wrong != 0 || s.counts.asked > 100) return -1;
  return took.count() / static_cast<double>(kCalls);
}

// Resident memory in bytes.
double resident() {
  std::ifstream in{"/proc/self/statm"};
  double size = 0, pages = 0;
  in >> size >> pages;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double suspended_mb(const mansio_plugin &plugin) {
  Scripted s{plugin, kAsleep};
  if (!s.runs()) return -1;
  const auto before = resident();
  for (std::uint64_t i = 0; i < kSuspended; ++i) s.rcpt();
  const auto held = resident() - before;
  if (s.counts.answers != 0) return -1;
  s.counts.fire();
  return s.counts.answers == kSuspended && s.counts.wrong == 0 ? held / 1e6 : -1;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: bench-lua LUA.so\n"), 64;
  const auto plugin = host::load_plugin(argv[1]);
  if (!plugin) return std::fprintf(stderr, "%s\n", plugin.error().text.c_str()), 1;
  const auto memory = suspended_mb(**plugin);  // first, while nothing lies about that could be used again
  const auto empty = each_us(**plugin, kEmpty), cached = each_us(**plugin, kCached);
  if (memory < 0 || empty < 0 || cached < 0) return std::fprintf(stderr, "the scripts do not do what they should\n"), 1;
  fmt::print("{{\"empty_us\": {:.3f}, \"cached_us\": {:.3f}, \"suspended_mb\": {:.1f}}}\n", empty, cached, memory);
  return 0;
}
