// What the queue knows of the processes attached to it, and of the leases they hold.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel/queue/flush_pace.hpp"
#include "kernel/queue/index.hpp"
#include "kernel/queue/link.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::queue {

using ConnectionId = std::uint32_t;

struct Connection {
  ConnectionId id = 0;
  wire::Peer peer;
  std::shared_ptr<Link> link;  // null: closed; the process may still live
  bool hello = false;
  bool draining = false;  // takes nothing new
  bool behind = false;    // a send failed: nothing more until the next tick

  // Descriptors sent, with how many leases use them. Kept a while after the last, for the next message there.
  struct Descriptor {
    std::uint32_t users = 0;
    Nanos idle_since = 0;
  };
  std::map<std::pair<std::uint32_t, std::uint32_t>, Descriptor> descriptors;

  // egress
  bool has_transport = false;
  scheduler::TransportId transport = 0;
  std::uint32_t capacity = 0;
  std::uint32_t leases = 0;
  std::unordered_map<std::uint64_t, MessageId> foreign;  // held since before our restart; id 0: it did not say of what
  std::set<std::uint64_t> listed;                        // in the parts of its hello so far
  Nanos answer_by = 0;                                   // mono: its hello, or the last of `foreign`
  bool cancelled = false;                                // ... and was told to give those up
  bool hung = false;                                     // the supervisor was asked to end it
  MessageId hung_on;  // the message whose deadline it missed; 0: it never said what it holds

  // ingress, router
  std::set<std::pair<std::uint32_t, std::uint32_t>> segments;
  std::uint64_t sequence = 0;
  std::optional<std::uint64_t> policy_stages;  // router: that its policies want to see; none: it has not said
};

struct Flushed {
  GroupSlot group = kNone;
  MessageId message;
};
struct Woken {
  GroupSlot group = kNone;
  MessageId message;
  std::uint64_t sequence = 0;  // of the journal; it goes once that is synced
};

struct TransportInfo {
  std::string name;
  bool by_recipient = false;     // each recipient is a destination
  bool asks_exchangers = false;  // limits go by who takes a domain's mail
  Nanos delivery_time_limit = 3600 * kSecond;
  std::uint32_t generation = 0;       // newest egress seen
  std::deque<GroupSlot> to_flush;     // those in FlushState::Waiting; may hold others, whose slot was used again
  std::deque<Woken> woken;            // the next of them, in order; the slot may be used again here as well
  FlushPace<Flushed> flushed;         // let out, and perhaps still on their way
  bool deferred = false;              // in defer_transports: nothing goes but what is flushed
  bool orphan = false;                // gone from the configuration; its mail was routed again
  std::uint32_t unknown_foreign = 0;  // leases held by egress processes that did not say of what
};

struct LeaseState {
  std::uint64_t lease = 0;
  MessageSlot message = kNone;
  GroupSlot group = kNone;
  ConnectionId connection = 0;
  std::shared_ptr<const Envelope> envelope;
  Recipients recipients;  // by Lease index
  std::vector<bool> reported;
  Recipients spared;  // by what was reported so far: QueueCore::first_undecided()
  spool::Place body;
  Nanos taken_up = 0, leased = 0;  // wall
  Nanos deadline = 0;              // mono
  Nanos retry = 0;                 // the longest that an outcome asks for before the next attempt
  bool routing = false;            // a RouteRequest, not a delivery
  bool cancelled = false;
  bool missed = false;    // not answered by then either
  bool unlisted = false;  // its holder reattached without naming it
  bool site_failure = false;
  bool plugin_failed = false;
};
using LeaseMap = std::unordered_map<std::uint64_t, LeaseState>;

}  // namespace mansio::queue
