// Messages between the supervisor and every role (kernel/process). Types 1..99.
//
// Order at birth: supervisor -> Start (+ descriptors), role -> Ready or Failed, then Attach/Listener as peers
// come and go. A role never parses the configuration file: it gets the checked snapshot.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace mansio::wire {

enum class RoleKind : std::uint8_t { Supervisor, Config, Queue, Ingress, Router, Egress, Host, Control };

struct Peer {
  RoleKind kind = RoleKind::Supervisor;
  std::uint32_t instance = 0;    // ingress 0..n-1; egress: number of the transport instance
  std::uint32_t generation = 0;  // config epoch it was started under
  std::string name;              // "ingress.0", "egress.smtp"
  std::int32_t pid = 0;
  bool operator==(const Peer &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.kind, s.instance, s.generation, s.name, s.pid);
  }
};

// supervisor -> role. Descriptors, in order: config snapshot (sealed memfd), log, shared memory (memfd).
struct Start {
  static constexpr std::uint16_t kType = 1;
  Peer self;
  std::uint32_t slot = 0;  // in shared memory (kernel/process/shared.hpp)
  std::uint32_t config_epoch = 0;
  std::uint64_t snapshot_size = 0;
  std::string transport;       // egress, host: which transport instance
  std::string lookup;          // host: which [lookup.NAME]
  std::string filter, policy;  // host: which [filter.NAME] or [policy.NAME]
  std::string event, rate;     // host: which [event.NAME] or [rate.NAME]
  std::string auth;            // host: which [auth.NAME]
  std::string store;           // host: which [store.NAME]
  std::string plugin_dir;
  std::string spool;
  std::int64_t uid = -1, gid = -1;  // to drop to; -1 = keep
  bool threaded = false;            // --single: no privilege drop, no exit()
  std::uint32_t needs = 0;          // egress, host: MANSIO_NEEDS_* of its plugin, what the sandbox leaves open
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.self, s.slot, s.config_epoch, s.snapshot_size, s.transport, s.lookup, s.filter, s.policy, s.event, s.rate,
      s.auth, s.store, s.plugin_dir, s.spool, s.uid, s.gid, s.threaded, s.needs);
  }
};

// role -> supervisor: initialised, privileges dropped, wants Attach now.
struct Ready {
  static constexpr std::uint16_t kType = 2;
  template <class Self, class V>
  static void fields(Self &, V &) {}
};

struct Failed {
  static constexpr std::uint16_t kType = 3;
  std::string reason;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.reason);
  }
};

// supervisor -> role, with one descriptor: a channel to `peer`. An earlier channel to the same peer is dead.
struct Attach {
  static constexpr std::uint16_t kType = 4;
  Peer peer;
  bool asks = false;  // the role asks that peer, which answers; otherwise the peer asks
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.peer, s.asks);
  }
};

// supervisor -> queue: the channels to every living egress have been sent (after its start or restart).
struct AttachDone {
  static constexpr std::uint16_t kType = 5;
  template <class Self, class V>
  static void fields(Self &, V &) {}
};

// supervisor -> role: that process was reaped. Only now may what it held be given to another.
struct Dead {
  static constexpr std::uint16_t kType = 6;
  Peer peer;
  bool crashed = false;       // neither exit 0 nor asked to stop
  std::uint64_t culprit = 0;  // MessageId the shared-memory marker named; 0 = none
  bool killed = false;        // by SIGKILL: an operator or the kernel's memory killer, not by what it worked on
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.peer, s.crashed, s.culprit, s.killed);
  }
};

// supervisor -> ingress, with one descriptor: a listening socket of the configured listener.
struct Listener {
  static constexpr std::uint16_t kType = 7;
  std::string name;     // config table name
  std::string address;  // "127.0.0.1:2525", "[::1]:2525"
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.name, s.address);
  }
};

// supervisor -> role: take no new work, finish what is in hand, exit by the deadline. Back: none is taken any more.
struct Drain {
  static constexpr std::uint16_t kType = 8;
  std::int64_t within_ns = 0;
  std::int64_t sessions_ns = 0;  // ingress, at a reload: for so long its sessions in progress may go on
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.within_ns, s.sessions_ns);
  }
};

// supervisor -> role, with one descriptor: the new log.
struct ReopenLog {
  static constexpr std::uint16_t kType = 9;
  template <class Self, class V>
  static void fields(Self &, V &) {}
};

// role -> supervisor and back: open a file that the configuration names (certificates, secrets), which the
// role's user may not be allowed to read. The answer carries a descriptor, or `error` (errno).
struct OpenFile {
  static constexpr std::uint16_t kType = 10;
  std::uint32_t request = 0;
  std::string path;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.path);
  }
};
struct OpenedFile {
  static constexpr std::uint16_t kType = 11;
  std::uint32_t request = 0;
  std::int32_t error = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.error);
  }
};

// supervisor (for control) -> role and back: counters and gauges, by Prometheus name.
struct StatsRequest {
  static constexpr std::uint16_t kType = 12;
  std::uint32_t request = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request);
  }
};
struct Stats {
  static constexpr std::uint16_t kType = 13;
  std::uint32_t request = 0;
  bool more = false;  // another Stats of this role follows
  Peer from;
  std::vector<std::pair<std::string, double>> values;  // "mansio_smtpd_connections_total{listener=\"smtp\"}"
  std::vector<std::string> help{};                     // "mansio_plugin_keys_total Keys that were asked for."
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.more, s.from, s.values, s.help);
  }
  // A role gives such a text among its samples, after this, with any value.
  static constexpr std::string_view kHelp = "# HELP ";
};

// control -> supervisor: what the operator asked for ("reload", "stop", "processes", "plugin-call"); answer as JSON
// text.
struct Command {
  static constexpr std::uint16_t kType = 14;
  std::uint32_t request = 0;
  std::string verb;
  std::vector<std::string> arguments{};  // plugin-call: instance, command, and what the command gets
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.verb, s.arguments);
  }
};
struct CommandResult {
  static constexpr std::uint16_t kType = 15;
  std::uint32_t request = 0;
  bool ok = false;
  std::string json;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.ok, s.json);
  }
};

// supervisor -> queue, control, with two descriptors (snapshot, log): a new configuration is in force. They have
// no generations: the role takes it over in place, or answers ok = false and is drained and started anew.
struct Reload {
  static constexpr std::uint16_t kType = 16;
  std::uint32_t config_epoch = 0;
  std::uint64_t snapshot_size = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.config_epoch, s.snapshot_size);
  }
};
struct Reloaded {
  static constexpr std::uint16_t kType = 17;
  std::uint32_t config_epoch = 0;
  bool ok = false;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.config_epoch, s.ok);
  }
};

// supervisor -> queue: that process is about to be told to drain; give it nothing new. The queue itself: a stop, and
// nobody comes in the place of those who deliver; give nothing to anybody.
struct Draining {
  static constexpr std::uint16_t kType = 18;
  Peer peer;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.peer);
  }
};

// role -> supervisor: my channel to that peer broke, or its descriptor was lost (EMFILE). If both still live, a
// new pair follows.
struct LostPeer {
  static constexpr std::uint16_t kType = 19;
  Peer peer;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.peer);
  }
};

// queue -> supervisor: that egress, host, ingress or router process does not answer in time; end it. What it held comes
// back with its Dead, as after any death.
struct EndPeer {
  static constexpr std::uint16_t kType = 20;
  Peer peer;
  std::string reason;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.peer, s.reason);
  }
};

// queue -> supervisor, supervisor -> role: whether a plugin wants to hear the lines of the log. Roles start with no.
struct LogWanted {
  static constexpr std::uint16_t kType = 21;
  bool wanted = false;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.wanted);
  }
};

// role -> supervisor -> queue, as long as they are wanted: what was written to the log, each line without its end.
struct LogLines {
  static constexpr std::uint16_t kType = 22;
  std::vector<std::string> lines;
  std::uint64_t dropped = 0;  // more of them, for which there was no room on the way
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lines, s.dropped);
  }
};

// supervisor -> every role that may run plugins: an operator calls a command of an instance, which may be in several
// processes; each role answers, also that it is not there.
struct PluginCall {
  static constexpr std::uint16_t kType = 23;
  std::uint32_t request = 0;
  std::string instance;  // "filter.quarantine"
  std::string command;
  std::vector<std::string> arguments;
  std::int64_t time_limit = 0;  // ns
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.instance, s.command, s.arguments, s.time_limit);
  }
};
enum class CalledStatus : std::uint8_t { NotHere, NoCommand, Ok, Failed };
struct PluginCalled {
  static constexpr std::uint16_t kType = 24;
  std::uint32_t request = 0;
  CalledStatus status = CalledStatus::NotHere;
  std::string text;
  std::vector<std::string> values;  // NoCommand: those that it has
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.status, s.text, s.values);
  }
};

// ---- the configuration child -------------------------------------------------------------------------------

// supervisor -> config child, its first and only order. It asks for files with OpenFile and Glob.
struct ConfigRequest {
  static constexpr std::uint16_t kType = 30;
  std::string path;
  std::string spool;      // --spool; "" = as configured
  bool threaded = false;  // no privilege drop, no exit()
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.path, s.spool, s.threaded);
  }
};
struct Glob {
  static constexpr std::uint16_t kType = 31;
  std::uint32_t request = 0;
  std::string pattern;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.pattern);
  }
};
struct Globbed {
  static constexpr std::uint16_t kType = 32;
  std::uint32_t request = 0;
  std::int32_t error = 0;
  std::vector<std::string> paths;  // sorted
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.error, s.paths);
  }
};
// config child -> supervisor, with one descriptor: `size` bytes, an encoded supervisor::Checked.
struct ConfigDone {
  static constexpr std::uint16_t kType = 33;
  std::uint64_t size = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.size);
  }
};

}  // namespace mansio::wire
