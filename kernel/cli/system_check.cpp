#include "kernel/cli/system_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "kernel/cli/spool_bench.hpp"
#include "kernel/config/plan.hpp"

namespace mansio::cli {
namespace {

constexpr std::uint64_t kManyDeliveries = 500;    // at once: then ports and queues of the system begin to matter
constexpr std::uint64_t kBacklog = 1024;          // of connections that wait to be accepted
constexpr std::uint64_t kFewPorts = 16384;        // each connection keeps one for a minute after its end
constexpr std::uint64_t kSlowSync = 20'000;       // microseconds
constexpr std::uint64_t kVerySlowSync = 200'000;  // ... of the slowest in a hundred
constexpr std::uint64_t kMemoryOfAProcess = 24ull << 20, kMemoryOfAMillion = 128ull << 20;

class Judge {
 public:
  Judge(const SystemFacts &facts, const config::Settings &settings)
      : f_(facts), s_(settings), plan_(config::make_plan(settings)) {
    for (const auto &t : settings.transports) deliveries_ += t.process_limit;
  }

  std::vector<Finding> run() {
    limits();
    processes();
    memory();
    sysctls();
    name_servers();
    file_system();
    space();
    syncs();
    rounds_of_one();
    return std::move(out_);
  }

 private:
  void add(Grade grade, std::string subject, std::string found, std::string advice = {}) {
    out_.push_back({grade, std::move(subject), std::move(found), std::move(advice)});
  }
  // nullopt: the system does not say.
  std::optional<std::uint64_t> number(const std::string &name) const {
    const auto at = f_.sysctls.find(name);
    if (at == f_.sysctls.end()) return std::nullopt;
    std::uint64_t n = 0;
    const auto &text = at->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    return error == std::errc{} ? std::optional{n} : std::nullopt;
  }
  void at_least(const std::string &name, std::uint64_t wanted, Grade otherwise, const std::string &why) {
    const auto n = number(name);
    if (!n) return;
    if (*n >= wanted) return add(Grade::Ok, name, fmt::format("{}", *n));
    add(otherwise, name, fmt::format("{}", *n),
        fmt::format("{}: sysctl -w {}={}, and in /etc/sysctl.d", why, name, wanted));
  }

  void limits() {
    const auto wanted = plan_.descriptors();
    auto found = fmt::format("{}, {} wanted by {}", f_.open_files, wanted, plan_.largest());
    if (f_.open_files >= wanted) return add(Grade::Ok, "open files", std::move(found));
    add(Grade::Problem, "open files", std::move(found),
        fmt::format("Mansio does not start: LimitNOFILE={} in its unit, or ulimit -n, or lower that setting", wanted));
  }

  // A thread counts as a process in all of these.
  void processes() {
    const auto wanted = plan_.threads;
    const auto found = [&](std::uint64_t n) {
      return fmt::format("{}, {} wanted by {} processes, of two generations while one follows the other", n, wanted,
                         plan_.processes);
    };
    if (f_.user_threads && *f_.user_threads < wanted)
      add(Grade::Problem, "processes of a user", found(*f_.user_threads),
          fmt::format("processes and threads cannot be started: LimitNPROC={} in its unit, or ulimit -u", wanted));
    if (f_.group_threads && *f_.group_threads < wanted)
      add(Grade::Problem, "processes of the control group", found(*f_.group_threads),
          fmt::format("processes and threads cannot be started if Mansio runs in this one: TasksMax={} in its unit, or "
                      "--pids-limit of the container",
                      wanted));
    if ((!f_.user_threads || *f_.user_threads >= wanted) && (!f_.group_threads || *f_.group_threads >= wanted))
      add(Grade::Ok, "processes", fmt::format("{} threads wanted by {} processes", wanted, plan_.processes));
    for (const auto *name : {"kernel.threads-max", "kernel.pid_max"})
      at_least(name, 2 * wanted, Grade::Problem, "all processes of the machine share this many threads");
  }

  void memory() {
    if (!f_.group_memory) return;
    const auto wanted = kMemoryOfAProcess * plan_.processes + kMemoryOfAMillion + s_.spool_settings.body_memory;
    const auto found = fmt::format("{} MiB", *f_.group_memory >> 20);
    if (*f_.group_memory >= wanted) return add(Grade::Ok, "memory of the control group", found);
    add(Grade::Advice, "memory of the control group", found,
        fmt::format("processes that exceed it are killed: about {} MiB are enough with a million messages waiting, if "
                    "Mansio runs in this one (MemoryMax= in its unit)",
                    wanted >> 20));
  }

  // Each delivery by MX asks, and so does each client's name: an answer from this machine takes no time.
  void name_servers() {
    const auto &servers = s_.dns.servers.empty() ? f_.name_servers : s_.dns.servers;
    if (servers.empty()) return;  // the system's own way, whatever that is
    const bool local = std::any_of(servers.begin(), servers.end(), [](const std::string &s) {
      return s.starts_with("127.") || s == "::1" || s.starts_with("[::1]");
    });
    auto found = fmt::format("{}", fmt::join(servers, ", "));
    if (local) return add(Grade::Ok, "name servers", std::move(found));
    add(Grade::Advice, "name servers", std::move(found),
        "what has to be looked up for each client and destination crosses the network: a caching name server on this "
        "machine, such as unbound, and [dns] servers = [\"127.0.0.1\"]");
  }

  void sysctls() {
    auto all =
        plan_.ingress_descriptors * plan_.ingress_processes + plan_.queue_descriptors + plan_.supervisor_descriptors;
    for (const auto &t : plan_.transports) all += t.descriptors;
    at_least("fs.file-max", 2 * all, Grade::Problem, "all processes of the machine share this many open files");
    at_least("net.core.somaxconn", std::min<std::uint64_t>(kBacklog, plan_.connection_limit), Grade::Advice,
             "clients that come together find the port busy");
    at_least("net.ipv4.tcp_max_syn_backlog", std::min<std::uint64_t>(kBacklog, plan_.connection_limit), Grade::Advice,
             "clients that come together find the port busy");
    at_least("net.ipv4.tcp_syncookies", 1, Grade::Advice, "a flood of connection requests shuts others out");
    if (deliveries_ > kManyDeliveries) {
      ports();
      at_least("net.ipv4.tcp_tw_reuse", 1, Grade::Advice,
               "ports of connections that have ended stay taken for a minute");
    }
    if (const auto n = number("vm.overcommit_memory"); n && *n == 2)
      add(Grade::Advice, "vm.overcommit_memory", "2",
          "address space that is only set aside counts as used, and a long queue may run into the limit: 0 or 1");
    if (!f_.huge_pages.empty()) {
      if (f_.huge_pages.find("[never]") != std::string::npos)
        add(Grade::Advice, "huge pages", f_.huge_pages,
            "a queue of millions is slower without: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled");
      else
        add(Grade::Ok, "huge pages", f_.huge_pages);
    }
  }

  void ports() {
    const auto at = f_.sysctls.find("net.ipv4.ip_local_port_range");
    if (at == f_.sysctls.end()) return;
    std::uint64_t low = 0, high = 0;
    const auto *end = at->second.data() + at->second.size();
    const auto first = std::from_chars(at->second.data(), end, low);
    const auto *second = std::find_if(first.ptr, end, [](char c) { return c != ' '; });
    std::from_chars(second, end, high);
    if (high >= low + kFewPorts) return add(Grade::Ok, at->first, at->second);
    add(Grade::Advice, at->first, at->second,
        fmt::format("deliveries may run out of ports: sysctl -w {}=\"10240 65535\", and in /etc/sysctl.d", at->first));
  }

  void file_system() {
    const auto subject = "spool " + f_.spool;
    if (!f_.mount) return add(Grade::Advice, subject, "its mount was not found", "look at it by hand (findmnt -T)");
    const auto &m = *f_.mount;
    const auto found = fmt::format("{} on {}", m.type, m.point);
    const auto before = out_.size();
    const auto is = [&](std::initializer_list<std::string_view> types) {
      return std::find(types.begin(), types.end(), m.type) != types.end();
    };
    if (m.has("ro")) add(Grade::Problem, subject, found + ", read only", "mount it for writing");
    if (is({"tmpfs", "ramfs"}))
      add(Grade::Problem, subject, found,
          "it lies in memory, and mail is lost with the power: put the spool on a disk");
    if (is({"nfs", "nfs4", "cifs", "smb3", "9p", "ceph"}))
      add(Grade::Problem, subject, found,
          "locks and syncs over a network are not what the spool's promises rest on: put it on a disk of this machine");
    if (is({"overlay", "aufs"}))
      add(Grade::Advice, subject, found, "a container's own layer goes with the container: put the spool on a volume");
    if (is({"btrfs", "bcachefs", "zfs"}) && !f_.no_cow_attribute)
      add(Grade::Advice, subject, found + ", copy on write",
          m.type == "btrfs"
              ? "each sync writes metadata as well: chattr +C on the empty spool directory, or ext4 or xfs"
              : "each sync writes metadata as well: ext4 or xfs is faster");
    for (const auto *option : {"nobarrier", "barrier=0"})
      if (m.has(option))
        add(Grade::Problem, subject, found + ", " + option,
            "the disk is not told to keep what was synced: remount without");
    for (const auto *option : {"sync", "dirsync"})
      if (m.has(option))
        add(Grade::Advice, subject, found + ", " + option,
            "every write waits for the disk, not only those that must: remount without");
    if (f_.sync_attribute)
      add(Grade::Advice, subject, found + ", attribute S", "every write waits for the disk: chattr -R -S on the spool");
    if (m.has("data=journal") || f_.journal_attribute)
      add(Grade::Advice, subject, found + ", data in the journal",
          "everything is written twice: data=ordered, or chattr -R -j on the spool");
    if (!m.has("noatime"))
      add(Grade::Advice, subject, found + (m.has("relatime") ? ", relatime" : ", access times are written"),
          fmt::format("reading a file writes to the disk as well: mount -o remount,noatime {}, and in /etc/fstab",
                      m.point));
    if (out_.size() == before) add(Grade::Ok, subject, found);
  }

  void space() {
    if (!f_.space) return;
    const auto reserve = s_.spool_settings.reserve;
    auto found = fmt::format("{} MiB free of {}", f_.space->free >> 20, f_.space->total >> 20);
    if (f_.space->free < reserve)
      return add(Grade::Problem, "space", std::move(found),
                 fmt::format("new mail is refused below {} MiB ([segments] reserve): make room", reserve >> 20));
    if (f_.space->free < 2 * reserve)
      return add(Grade::Advice, "space", std::move(found),
                 fmt::format("new mail will be refused below {} MiB ([segments] reserve): make room", reserve >> 20));
    add(Grade::Ok, "space", std::move(found));
  }

  void syncs() {
    if (!f_.syncs)
      return add(f_.exists ? Grade::Advice : Grade::Ok, "sync", "not measured: " + f_.not_measured,
                 f_.exists ? "run this as root, or as the user that Mansio runs as" : "");
    auto found = fmt::format("{} us, the slowest in a hundred {} us", f_.syncs->median, f_.syncs->p99);
    if (f_.syncs->median < kImplausibleSync)
      return add(
          Grade::Problem, "sync", std::move(found),
          "no disk is so fast: what lies beneath may not keep what it was told to keep, and mail can be lost with "
          "the power. Switch off the disk's volatile cache, or the hypervisor's cache=unsafe");
    if (f_.syncs->median > kSlowSync || f_.syncs->p99 > kVerySlowSync)
      return add(Grade::Advice, "sync", std::move(found),
                 "each message waits for one: an SSD with power loss protection or a controller with a battery takes a "
                 "tenth of a millisecond; `mansio spool bench` shows what a sync for many messages is worth");
    add(Grade::Ok, "sync", std::move(found));
  }

  // Of the configuration: where one delivery runs at a time, one that does not connect is a whole round of failures.
  void rounds_of_one() {
    const auto cause = [](const config::DestinationLimits &limits) -> std::string_view {
      if (limits.destination_concurrency_failed_cohort_limit != 1) return {};
      if (limits.destination_rate_delay > 0) return "destination_rate_delay";
      return limits.destination_concurrency_limit == 1 ? "destination_concurrency_limit = 1" : std::string_view{};
    };
    const auto advise = [&](std::string table, std::string_view why) {
      add(Grade::Advice, std::move(table), fmt::format("{} and destination_concurrency_failed_cohort_limit = 1", why),
          "one delivery that fails to connect puts off all mail for its destination: raise the second, as to 100 in "
          "examples/fragile.toml");
    };
    for (const auto &t : s_.transports) {
      if (const auto why = cause(t); !why.empty()) {
        advise("[transport." + t.name + "]", why);
        continue;
      }
      for (const auto &rule : t.destinations)
        if (const auto why = cause(rule.limits); !why.empty())
          advise(fmt::format("[[transport.{}.destination]] of {}", t.name,
                             rule.match.empty() ? rule.mx.front() : rule.match.front()),
                 why);
    }
  }

  const SystemFacts &f_;
  const config::Settings &s_;
  config::Plan plan_;
  std::uint64_t deliveries_ = 0;
  std::vector<Finding> out_;
};

}  // namespace

std::vector<Finding> judge_system(const SystemFacts &facts, const config::Settings &settings) {
  return Judge{facts, settings}.run();
}

std::string to_text(const std::vector<Finding> &findings) {
  std::string out;
  for (const auto &f : findings) {
    constexpr std::string_view grades[] = {"ok", "advice", "PROBLEM"};
    out += fmt::format("{:<8} {}: {}\n", grades[static_cast<std::size_t>(f.grade)], f.subject, f.found);
    if (!f.advice.empty()) out += fmt::format("{:<8} -> {}\n", "", f.advice);
  }
  return out;
}

}  // namespace mansio::cli
