// Messages between the queue process and its clients. Types 100..199; the queue is always one end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/status.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/spool/place.hpp"
#include "kernel/wire/policy_messages.hpp"

namespace mansio::wire {

// ---- writers (ingress, router) <-> queue ------------------------------------------------------------

struct SegmentRequest {  // writer -> queue
  static constexpr std::uint16_t kType = 100;
  std::uint32_t request = 0;
  std::uint64_t least = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.least);
  }
};
struct SegmentReply {  // queue -> writer, with the descriptor when status is Ok
  static constexpr std::uint16_t kType = 101;
  std::uint32_t request = 0;
  Status status = Status::Ok;
  std::string text;
  std::uint32_t node = 0, segment = 0, epoch = 0;
  std::uint64_t size = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.status, s.text, s.node, s.segment, s.epoch, s.size);
  }
};
struct SegmentSealed {  // writer -> queue
  static constexpr std::uint16_t kType = 102;
  std::uint32_t segment = 0, epoch = 0;
  std::uint64_t bad_from = 0;  // 0: none
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch, s.bad_from);
  }
};

// A sequenced hint that a message is committed. `envelope_bytes` is encode_envelope() when it is small, else
// empty and read from the spool. A gap in `sequence`, or the writer's death, makes the queue scan its segments.
struct Notice {
  static constexpr std::uint16_t kType = 103;
  std::uint64_t sequence = 0;  // from 1, a new channel starts anew
  MessageId id;
  spool::Place commit, envelope, body;
  std::string envelope_bytes;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.sequence, s.id, s.commit, s.envelope, s.body, s.envelope_bytes);
  }
};
// writer -> queue, on every attach before anything else: segments it still writes, or has sealed without the queue
// knowing, and those it gave up after an error of late: a queue process that was killed may not have kept that.
struct WriterHello {
  static constexpr std::uint16_t kType = 104;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> segments;  // (segment, epoch)
  std::vector<SegmentSealed> given_up = {};
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segments, s.given_up);
  }
};
// queue -> ingress, router: whether new mail is welcome, of clients and of plugins; sent on attach and at every change.
// Notifications and what stores give back are no new mail.
struct Pressure {
  static constexpr std::uint16_t kType = 105;
  bool accept = true;
  bool disk_full = false;  // what is being received is refused as well, if it takes a segment of its own
  std::uint16_t code = 451;
  EnhancedStatus enhanced;
  std::string reason;
  std::uint8_t brake = 0;               // mail comes in faster than it goes out: 1 the heavy clients are to wait, 2 all
  std::vector<std::string> heavy = {};  // "unix" or networks: "192.0.2.1/32"; sorted
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.accept, s.disk_full, s.code, s.enhanced, s.reason, s.brake, s.heavy);
  }
};

// ingress -> queue: a client asks for the mail of a destination (ETRN, RFC 1985): "example.com", or "@example.com" for
// it and its subdomains. Answered by FlushReply once it is known how much waits; that is tried a piece at a time.
struct FlushRequest {
  static constexpr std::uint16_t kType = 106;
  std::uint32_t request = 0;
  std::string destination;
  std::string by;  // for the log
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.destination, s.by);
  }
};
struct FlushReply {
  static constexpr std::uint16_t kType = 107;
  std::uint32_t request = 0;
  bool begun = false;  // false: not now
  std::uint64_t messages = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.begun, s.messages);
  }
};

// queue -> ingress, router: what this spool is called in stores; sent on attach and once it is on stable storage.
// Before that nothing can be committed to one.
struct SpoolName {
  static constexpr std::uint16_t kType = 108;
  std::uint64_t spool = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.spool);
  }
};
// writer -> queue: it was, or may have been, committed to a store, and will not be to the spool.
struct Abandoned {
  static constexpr std::uint16_t kType = 109;
  MessageId id;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.id);
  }
};

// ---- egress <-> queue ----------------------------------------------------------------------------------

enum class DeliveryStatus : std::uint8_t { Sent, Deferred, Bounced, Uncertain };

struct RecipientOutcome {
  std::uint32_t index = 0;  // into Lease::recipients
  DeliveryStatus status = DeliveryStatus::Deferred;
  std::uint16_t smtp_code = 0;
  EnhancedStatus enhanced;
  std::string text;          // remote reply or reason, for log and DSN
  std::string remote_mta;    // "mx.example.com" for the DSN's Remote-MTA; "" = none
  std::string relay;         // log form: "mx.example.com[192.0.2.1]:25", "none", "local"
  bool relayed_dsn = false;  // the next hop took over DSN responsibility (it offers DSN)
  Nanos connect_ns = 0;      // delays c and d of the log line
  Nanos transmit_ns = 0;
  std::uint32_t connection_use = 0;  // conn_use, from 1
  std::string tls;                   // "TLSv1.3 TLS_AES_256_GCM_SHA384", "" = clear
  bool plugin_failed = false;        // no word of a next hop: the plugin broke, hung or was not there
  Nanos retry_ns = 0;                // Deferred: what is asked for before the next attempt, from now; 0 = nothing
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.index, s.status, s.smtp_code, s.enhanced, s.text, s.remote_mta, s.relay, s.relayed_dsn, s.connect_ns,
      s.transmit_ns, s.connection_use, s.tls, s.plugin_failed, s.retry_ns);
  }
};

// egress -> queue, first message on every attach: what it runs, how much it takes at once, and every lease it
// still holds (the queue may have restarted). In as many parts as the leases need; the last one counts.
struct EgressHello {
  static constexpr std::uint16_t kType = 120;
  std::string transport;
  std::uint32_t capacity = 0;         // leases at once
  std::vector<std::uint64_t> leases;  // still working on, or finished and not acknowledged
  std::vector<MessageId> messages;    // of each of `leases`: only these are kept back after a queue restart
  bool more = false;                  // another part follows
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.transport, s.capacity, s.leases, s.messages, s.more);
  }
};
struct LeaseRecipient {
  std::uint32_t recipient = 0;  // index in the envelope
  std::string address, orcpt, original;
  std::uint8_t notify = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.recipient, s.address, s.orcpt, s.original, s.notify);
  }
};
// queue -> egress. `slices` are the message's bytes in order, in segments whose descriptors were sent before
// with SegmentFd. The lease holder reads them only until it has sent LeaseDone.
struct Lease {
  static constexpr std::uint16_t kType = 121;
  static constexpr std::string_view kTlsPolicy = "tls_policy";  // metadata that a transport is told apart
  std::uint64_t lease = 0;  // never reused by this spool: (start number << 32 | counter)
  MessageId id;
  std::vector<spool::Place> slices;
  BodyInfo body;
  std::string sender;
  std::string nexthop;
  std::vector<LeaseRecipient> recipients;
  Ret ret = Ret::NotGiven;
  std::string envid;
  BodyType body_type = BodyType::SevenBit;
  bool smtputf8 = false, require_tls = false;
  std::string client_address, client_name, client_helo;
  std::string auth_method, auth_user, auth_sender;  // of the client's AUTH
  Origin origin;  // who brought it into the mail system: the client, if nobody said otherwise
  std::string source_pool;
  Nanos arrival = 0;   // wall
  Nanos deadline = 0;  // mono: the queue presumes the worst afterwards
  bool possible_duplicate = false;
  std::uint32_t attempts = 0;  // made before this one
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<MailFacts> facts;  // one: a policy may be asked first whether it may begin
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease, s.id, s.slices, s.body, s.sender, s.nexthop, s.recipients, s.ret, s.envid, s.body_type, s.smtputf8,
      s.require_tls, s.client_address, s.client_name, s.client_helo, s.auth_method, s.auth_user, s.auth_sender,
      s.origin, s.source_pool, s.arrival, s.deadline, s.possible_duplicate, s.attempts, s.metadata, s.facts);
  }
};
struct SegmentFd {  // queue -> egress, with the read-only descriptor
  static constexpr std::uint16_t kType = 122;
  std::uint32_t segment = 0, epoch = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch);
  }
};
struct ForgetSegment {  // queue -> egress, router: close that descriptor; back: it did not arrive
  static constexpr std::uint16_t kType = 123;
  std::uint32_t segment = 0, epoch = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch);
  }
};
// egress -> queue: outcomes as they arrive. Kept by the egress until acknowledged, presented again on reattach.
struct Outcomes {
  static constexpr std::uint16_t kType = 124;
  std::uint64_t lease = 0;
  MessageId id;
  std::vector<std::uint32_t> recipients;  // envelope index of each outcome, for a queue that has restarted
  std::vector<RecipientOutcome> outcomes;
  bool done = false;          // last word on this lease; recipients not reported are Deferred
  bool site_failure = false;  // connect or handshake failed: negative feedback for the destination
  std::string reason;         // of site_failure, or for the unreported
  std::string destination;    // connection still open and idle, to prefer for the next lease ("" = none)
  bool refused = false;       // with done: it was not taken up, so that this was no attempt
  bool no_feedback = false;   // the transport was never asked: it says nothing of the destination
  bool interrupted = false;   // given up because the egress ends: for what remains this was no attempt
  // With done, one: a policy did not let it begin. Defer: at that time. Hold, Route: nothing is reported of anybody.
  std::vector<PolicyWord> word;
  std::int32_t ended_with = 0;  // with done: pid of the plugin's own process, which ended while it had this
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease, s.id, s.recipients, s.outcomes, s.done, s.site_failure, s.reason, s.destination, s.refused,
      s.no_feedback, s.interrupted, s.word, s.ended_with);
  }
};
struct OutcomesAck {  // queue -> egress: that lease's outcomes are on stable storage
  static constexpr std::uint16_t kType = 125;
  std::vector<std::uint64_t> leases;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.leases);
  }
};
struct CancelLease {  // queue -> egress: a courtesy; the answer is still an Outcomes with done
  static constexpr std::uint16_t kType = 126;
  std::uint64_t lease = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.lease);
  }
};

// ---- router <-> queue ------------------------------------------------------------------------------------

struct RouteRequest {  // queue -> router
  static constexpr std::uint16_t kType = 140;
  std::uint64_t request = 0;
  MessageId id;
  std::string sender;
  std::string listener;                                           // that it came by; "": made here
  std::vector<std::pair<std::uint32_t, std::string>> recipients;  // envelope index, address
  std::string content_filter;                                     // of the message; "": its listener's
  std::vector<Route> routes;   // as `recipients`: those they came with, no transport: none; empty: none has any
  MailFacts facts;             // for policies
  std::uint32_t attempts = 0;  // made so far
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.id, s.sender, s.listener, s.recipients, s.content_filter, s.routes, s.facts, s.attempts);
  }
};
struct RouteRefusal {
  std::uint32_t recipient = 0;
  EnhancedStatus status;
  std::string text;
  Nanos retry = 0;       // a policy's: asked again then, from now; 0: it did not say
  bool discard = false;  // a policy's: it counts as delivered, and nobody gets it; `text` is why
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.recipient, s.status, s.text, s.retry, s.discard);
  }
};
struct RouteReply {
  static constexpr std::uint16_t kType = 141;
  std::uint64_t request = 0;
  MessageId id;
  std::uint32_t config_epoch = 0;
  std::vector<std::pair<std::uint32_t, Route>> routes;
  std::vector<RouteRefusal> refusals;
  std::vector<std::pair<std::uint32_t, std::string>> pools;  // of those of `routes` that a policy gave one
  std::string hold;                                          // a policy's: why the message is held; "": it is not
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.id, s.config_epoch, s.routes, s.refusals, s.pools, s.hold);
  }
};

struct MxRequest {  // queue -> router: which hosts take mail for these domains?
  static constexpr std::uint16_t kType = 144;
  std::vector<std::string> domains;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.domains);
  }
};
struct MxReply {  // router -> queue; there is none while DNS cannot say
  static constexpr std::uint16_t kType = 145;
  std::string domain;      // as it was asked for
  std::string exchangers;  // lower case, sorted, with commas between; "": none
  Nanos ttl = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.domain, s.exchangers, s.ttl);
  }
};

// queue -> router, where a policy has a say in it: these were deferred and wait for `wait`. The queue goes on by that
// until it is told otherwise, if it ever is.
struct DeferredRecipient {
  std::string address;
  std::uint16_t smtp_code = 0;
  EnhancedStatus enhanced;
  std::string text;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.address, s.smtp_code, s.enhanced, s.text);
  }
};
struct RetryRequest {
  static constexpr std::uint16_t kType = 146;
  std::uint64_t number = 0;
  MessageId id;
  std::string sender;
  Route route;
  MailFacts facts;
  std::uint32_t attempts = 0;  // made so far
  Nanos wait = 0;              // from now
  std::vector<DeferredRecipient> recipients;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.id, s.sender, s.route, s.facts, s.attempts, s.wait, s.recipients);
  }
};
struct RetryReply {  // router -> queue
  static constexpr std::uint16_t kType = 147;
  std::uint64_t number = 0;
  MessageId id;
  PolicyWord word;  // Defer, Fail, Hold or None
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.number, s.id, s.word);
  }
};

// PostmasterCopy and PostmasterDelay: for the operator, about mail that failed or waits.
enum class DsnKind : std::uint8_t { Failure, Delay, Success, PostmasterCopy, PostmasterDelay };
struct DsnRecipient {
  std::string address, original, orcpt;
  std::uint8_t notify = 0;
  RecipientOutcome outcome;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.address, s.original, s.orcpt, s.notify, s.outcome);
  }
};
// queue -> router: write this notification. The parent's header section comes by descriptors: SegmentFd first,
// `slices` here. Answered by DsnWritten once committed; its Notice reaches the queue as for any mail.
struct DsnRequest {
  static constexpr std::uint16_t kType = 142;
  DsnParent parent;
  DsnKind kind = DsnKind::Failure;
  std::string to;      // original sender, or postmaster
  std::string sender;  // original sender as shown
  std::vector<DsnRecipient> recipients;
  std::vector<spool::Place> slices;
  BodyInfo body;
  Ret ret = Ret::NotGiven;
  std::string envid;
  bool smtputf8 = false;
  std::uint8_t priority = 0;  // and that of the notification (RFC 6710)
  Nanos arrival = 0, last_attempt = 0, will_retry_until = 0;
  MailFacts facts;       // of the parent, for policies
  bool unasked = false;  // policies have had their time: it is written without their word
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.parent, s.kind, s.to, s.sender, s.recipients, s.slices, s.body, s.ret, s.envid, s.smtputf8, s.priority,
      s.arrival, s.last_attempt, s.will_retry_until, s.facts, s.unasked);
  }
};
struct DsnWritten {  // router -> queue
  static constexpr std::uint16_t kType = 143;
  DsnParent parent;
  MessageId id;          // zero: it could not be written, `reason`; the queue asks again later, unless
  bool refused = false;  // its recipient's route refuses it for good
  std::string reason;
  bool suppressed = false;  // a policy has decided that it is not written, and it never is
  bool waits = false;       // a policy defers it, or fails
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.parent, s.id, s.refused, s.reason, s.suppressed, s.waits);
  }
};

// queue -> router: that message is to be committed to the spool anew, from the store that has it, for the recipients
// that are not done. Answered by Restored; its Notice reaches the queue before that, as for any mail.
struct RestoreRequest {
  static constexpr std::uint16_t kType = 149;
  std::string store;  // its name
  StoreKey key;
  bool hold = false;  // until an operator releases it
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.store, s.key, s.hold);
  }
};
// Done: as `id`, or nobody was left to deliver to. Gone: the store has it no more. Damaged: what the store gave is not
// what was committed. Later: the store or the spool did not take part.
enum class RestoreStatus : std::uint8_t { Done, Gone, Damaged, Later };
struct Restored {  // router -> queue
  static constexpr std::uint16_t kType = 150;
  StoreKey key;
  RestoreStatus status = RestoreStatus::Later;
  MessageId id;  // zero: it was not committed
  std::string reason;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.key, s.status, s.id, s.reason);
  }
};

// ---- control <-> queue -------------------------------------------------------------------------------------

// One operator's request. `verb`: list show hold release requeue reroute rebind delete expire flush summary qshape why
// suspend resume suspensions responses unthrottle stores restore.
// Replies come as a stream of JSON lines (one a message for list/show), the last with `done`.
struct QueueCommand {
  static constexpr std::uint16_t kType = 160;
  std::uint32_t request = 0;
  std::string verb;
  std::vector<std::string> ids;  // queue ids; empty with `all` or a match
  bool all = false;
  std::vector<std::pair<std::string, std::string>> match;  // sender=, recipient=, domain=, state=, transport=, older=
  std::string by;                                          // who asked, for the log
  bool report = false;  // of what changes things: a line {"queue_id": ...} for each message that was changed
  bool reads() const {
    return verb == "list" || verb == "show" || verb == "summary" || verb == "qshape" || verb == "why" ||
           verb == "suspensions" || verb == "responses" || verb == "stores";
  }
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.verb, s.ids, s.all, s.match, s.by, s.report);
  }
};
struct QueueReply {
  static constexpr std::uint16_t kType = 161;
  std::uint32_t request = 0;
  std::string lines;  // whole JSON lines
  bool done = false;
  std::string error;  // with done
  std::uint64_t affected = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request, s.lines, s.done, s.error, s.affected);
  }
};
struct QueueCommandCredit {  // control -> queue: one more QueueReply may be sent for that request
  static constexpr std::uint16_t kType = 162;
  std::uint32_t request = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.request);
  }
};

}  // namespace mansio::wire
