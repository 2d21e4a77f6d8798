// Plan: what the supervisor needs of the configuration. It never parses TOML itself; an unprivileged child does and
// hands back this and the snapshot.
//
// Descriptors a process needs at its limits, checked against RLIMIT_NOFILE before anything starts:
//
//   every process   64: standard descriptors, channels to its peers, log, shared memory, event loop, DNS sockets
//   ingress         + listening sockets + 2 a connection (the socket; the segment of a large message) + 4 a message
//                   that filters may look at (as they see it, as they have changed it, and what is on its way to
//                   them) + 2 a message that stores may be at (the copy, and what of it is on its way). Connections
//                   are limited over all ingress processes, so that one may have all of them
//   egress          + 4 a delivery (the connection; one idle one kept for reuse; two slices of the spool), + 1 where
//                   smtp_generic_maps make another header
//   router          + 1 a message that plugins submit (kSubmissionsAtOnce)
//   queue           + 4 a segment that may be in use at once (kSegmentAllowance segments)
//   supervisor      + listening sockets + 4 a process it runs, of two generations
//
// Threads of all processes, of two generations, are compared with what the system allows. A process has up to
// kThreadsOfAProcess (its loop, the disk's, a watchdog); a plugin that blocks has its budget's `threads`, or
// kThreadsOfAPlugin, in each process that it runs in: its own, or the egress of its transport, or, of the others, every
// ingress process and the router. What plugins run as commands comes on top.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/config/settings.hpp"

namespace mansio::config {

inline constexpr std::uint64_t kDescriptorsOfAProcess = 64;
inline constexpr std::uint64_t kSegmentAllowance = 64;
inline constexpr std::uint64_t kSubmissionsAtOnce = 100;
inline constexpr std::uint64_t kThreadsOfAProcess = 4;
inline constexpr std::uint64_t kThreadsOfAPlugin = 16;

struct PlanAddress {
  std::string host;  // an IP address without brackets; "0.0.0.0" and "::" for "*" (the latter for IPv6 only)
  std::uint16_t port = 0;
  bool operator==(const PlanAddress &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.host, s.port);
  }
};
std::string to_string(const PlanAddress &address);  // "127.0.0.1:25", "[::1]:25"

struct PlanListener {
  std::string name;
  std::vector<PlanAddress> addresses;
  bool operator==(const PlanListener &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.addresses);
  }
};

struct PlanTransport {
  std::string name;
  std::string plugin;
  std::uint64_t descriptors = 0;  // that its egress needs
  std::uint32_t process_limit = 0;
  bool operator==(const PlanTransport &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.plugin, s.descriptors, s.process_limit);
  }
};

// A plugin instance with a process of its own.
struct PlanHost {
  std::string name;                                                         // "host.lookup.users"
  std::string lookup, transport, filter, policy, event, rate, auth, store;  // one of them: the table's name
  std::uint32_t needs = 0;                                                  // MANSIO_NEEDS_* of its plugin
  std::uint32_t breaker_deaths = 5;
  Nanos breaker_window = 0, breaker_time = 0;
  std::uint64_t descriptors = 0;  // that its process needs
  bool for_queue = false;         // a policy that [queue] names
  bool operator==(const PlanHost &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.lookup, s.transport, s.filter, s.policy, s.event, s.rate, s.auth, s.store, s.needs, s.breaker_deaths,
      s.breaker_window, s.breaker_time, s.descriptors, s.for_queue);
  }
};

// A plugin instance that is asked questions by processes that have other work, and runs in them: its code can end them.
struct PlanGuest {
  std::string name;  // "filter spam"
  std::uint32_t breaker_deaths = 5;
  Nanos breaker_window = 0, breaker_time = 0;
  bool operator==(const PlanGuest &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.breaker_deaths, s.breaker_window, s.breaker_time);
  }
};

struct Plan {
  std::string user;  // to drop to when started as root
  std::string spool;
  std::string plugin_dir;  // "" = beside the binary
  Nanos stop_timeout = 0, drain_timeout = 0;
  bool sandbox = true;
  std::uint32_t ingress_processes = 1;  // never 0: resolved
  std::string log_target;               // "stderr", "syslog" or a path
  LogLevel log_level = LogLevel::Info;
  std::string syslog_name;
  std::vector<PlanListener> listeners;
  std::vector<PlanTransport> transports;
  std::vector<PlanHost> hosts;
  std::vector<PlanGuest> guests;
  std::vector<std::string> files;  // that children may ask to have opened; sorted, each once
  std::uint64_t ingress_descriptors = 0, queue_descriptors = 0, supervisor_descriptors = 0, other_descriptors = 0;

  // The most that any process needs, and which: to be compared with the limit.
  std::uint64_t descriptors() const;
  std::string largest() const;  // "ingress (connection_limit = 2000)"

  bool operator==(const Plan &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.user, s.spool, s.plugin_dir, s.stop_timeout, s.drain_timeout, s.sandbox, s.ingress_processes, s.log_target,
      s.log_level, s.syslog_name, s.listeners, s.transports, s.hosts, s.guests, s.files, s.ingress_descriptors,
      s.queue_descriptors, s.supervisor_descriptors, s.other_descriptors, s.connection_limit, s.processes, s.threads);
  }
  std::uint32_t connection_limit = 0;        // the largest of all listeners
  std::uint64_t processes = 0, threads = 0;  // of two generations, and of the supervisor
};

Plan make_plan(const Settings &settings);

}  // namespace mansio::config
