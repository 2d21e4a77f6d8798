// QueueCore: all that the queue process decides, without processes, sockets or a real clock. Events come in as
// calls (peers attach and die, messages arrive, the journal synced, time passed); what goes out is sent on Links
// and written to the Store. One object, one thread; role.cpp wires it to the loop.
//
// What holds here (DESIGN.md section 2):
//  - Only the queue records "recipient done"; an outcome is acknowledged after the journal entry is synced.
//  - A lease ends by its holder's last word or by its holder's reaped death, never by time alone.
//  - After a restart nothing is leased before every living egress process has reported what it holds.
//  - Nothing a peer sends can stop it: unknown leases, recipients and messages are ignored.
//
// The class is one; its parts are files: peers.cpp (who is attached), writers.cpp (segments, notices),
// admission.cpp (into the index), recovery.cpp, leases.cpp (out to egress), outcomes.cpp (and back), responses.cpp
// (what replies make us do), crashes.cpp, routing.cpp, policies.cpp (plugins that have a say), retries.cpp (in when
// mail is tried again), sites.cpp (which domains share limits), notifications.cpp, telling.cpp (event plugins),
// stores.cpp (second copies of mail), compaction.cpp, commands.cpp, flush.cpp, shape_command.cpp, listing.cpp,
// suspensions.cpp and why.cpp (operators), clog.cpp (what holds the queue up), maintenance.cpp (time, pressure, end).
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/config/notify.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/queue/clock_steps.hpp"
#include "kernel/queue/clog.hpp"
#include "kernel/queue/command.hpp"
#include "kernel/queue/delivery_log.hpp"
#include "kernel/queue/envelope_cache.hpp"
#include "kernel/queue/events.hpp"
#include "kernel/queue/index.hpp"
#include "kernel/queue/inflow.hpp"
#include "kernel/queue/link.hpp"
#include "kernel/queue/peers.hpp"
#include "kernel/queue/rate_links.hpp"
#include "kernel/queue/store_links.hpp"
#include "kernel/queue/store_state.hpp"
#include "kernel/scheduler/responses.hpp"
#include "kernel/scheduler/scheduler.hpp"
#include "kernel/spool/store.hpp"
#include "kernel/wire/process_messages.hpp"
#include "kernel/wire/queue_messages.hpp"
#include "kernel/wire/submit_messages.hpp"

namespace mansio::queue {

std::optional<Nanos> parse_age(std::string_view text);  // of an operator: "90", "15m", "2h", "5d"

class Json;
struct WaitingGroups;

// When the next attempt is to be made, from now: what the next hop asked for, which the back-off may exceed, or what a
// policy said, which counts whatever the back-off is. 0: nothing.
struct NextAttempt {
  Nanos asked = 0, decided = 0;
  bool tried = true;  // there was an attempt, or what counts as one
};

class QueueCore : private spool::Mover {
 public:
  QueueCore(const Clock &clock, Logger &log, const config::Settings &settings, spool::Store &store, std::uint64_t seed);
  ~QueueCore() override;

  // First of all: the journal. What lies in the segments comes in afterwards, from the loop; until all of it is known,
  // nothing is leased, and what was said of it by others waits.
  Result<void> recover();

  ConnectionId attach(const wire::Peer &peer, std::shared_ptr<Link> link);
  void receive(ConnectionId from, io::Message &message);
  void closed(ConnectionId connection);
  void attach_done();
  void dead(const wire::Dead &dead);
  void synced();
  // A holder of leases does not answer: it is to be killed. dead() is to follow.
  void on_hung(std::function<void(const wire::Peer &, std::string_view reason)> callback) {
    hung_ = std::move(callback);
  }
  // Whether plugins are to be told the lines of the log: at once, and when it changes. And the lines, of all processes.
  void on_log_wanted(std::function<void(bool)> callback) { events_.on_log_wanted(std::move(callback)); }
  void tell_log(const wire::LogLines &lines) { events_.tell_log(lines); }
  // Something happened that no event told of: turn() is to be called.
  void on_wake(std::function<void()> callback) { wake_ = std::move(callback); }

  // Does what is due, a bounded amount of it; true: call again soon. To be called after events and at wake_at().
  bool turn();
  Nanos wake_at() const;  // mono

  void draining(const wire::Peer &peer);  // it gets nothing new; a queue, which is this one: nobody does
  void reload(const config::Settings &settings);
  void wanted(std::uint32_t segment, std::uint32_t epoch);                                          // Store::on_wanted
  void unadmitted(std::uint32_t segment, std::uint32_t epoch) { scan({segment, epoch}, nullptr); }  // on_unadmitted

  void drain();  // lease nothing more
  bool drained() const { return leases_.empty() && store_links_->settled(); }
  // Says for what is still leased that it may be delivered twice, closes the store, sends the last acknowledgements.
  Result<void> stop();

  void stats(const std::function<void(std::string, double)> &put) const;

  static std::string problem_of_suspension(const wire::QueueCommand &command);  // "": none
  static std::string problem_of_unthrottle(const wire::QueueCommand &command);

  // For tests.
  const Index &index() const { return index_; }
  bool leasing() const { return gate_open_ && !draining_; }
  bool recovering() const { return replay_ != nullptr; }

 private:
  using Segment = std::pair<std::uint32_t, std::uint32_t>;  // (number, epoch)
  static constexpr Nanos kHelloLimit = 30 * kSecond;        // to say what it holds, once attached
  using SharedEnvelope = std::shared_ptr<const Envelope>;

  struct Times {  // one moment, as both clocks have it
    Nanos wall = 0, mono = 0;
    Nanos offset() const { return wall - mono; }
  };

  struct DsnName {
    MessageId parent;
    std::uint32_t event;
    auto operator<=>(const DsnName &) const = default;
  };
  // A notification that lies in the spool.
  struct FoundDsn {
    DsnName name;
    spool::Place commit;
  };

  // What one batch of outcomes did to a message, until it is journaled.
  struct Batch {
    Recipients sent;
    std::vector<Reported> failed, succeeded;
    Recipients spared;  // they stay however old the message is: first_undecided()
    bool spares(std::uint32_t recipient) const;
    bool empty() const { return sent.empty() && failed.empty() && succeeded.empty(); }
  };
  struct LeaseContext {  // of an outcome, for the log
    std::string_view transport;
    std::int32_t pid = 0;
    Nanos taken_up = 0, leased = 0;
    bool interrupted = false;  // by us
  };

  // peers.cpp
  void handle(Connection &c, io::Message &message);
  void close(Connection &c);
  Connection *find(ConnectionId id);
  Connection *router();
  Connection *egress_of(scheduler::TransportId transport);
  void on_egress_hello(Connection &c, const wire::EgressHello &hello);
  void refresh_capacity(scheduler::TransportId transport);
  void refresh_capacities();
  void check_gates();
  void open_gate();
  bool unpark_some();
  bool send_descriptor(Connection &c, const spool::Place &place);  // and counts one user
  void drop_descriptor(Connection &c, const spool::Place &place);
  void forget_idle_descriptors(Nanos now);
  scheduler::TransportId transport_named(const std::string &name, bool configured);
  void set_limits();
  void set_rates();
  std::optional<scheduler::TransportId> known_transport(const std::string &name) const;

  // writers.cpp
  void on_segment_request(Connection &c, const wire::SegmentRequest &request);
  void on_segment_sealed(Connection &c, const wire::SegmentSealed &sealed);
  void on_notice(Connection &c, wire::Notice &notice);
  void on_writer_hello(Connection &c, const wire::WriterHello &hello);
  void writer_dead(Connection &c);
  void adopt(Connection &c, const Segment &segment);
  void take_back(Connection &c, const Segment &segment, std::uint64_t bad_from);
  using Scanned = std::function<void(bool whole)>;
  void scan(const Segment &segment, Scanned then, bool over = false);
  void scan_all(const Connection &c, const std::set<Segment> &segments, Scanned then, bool over = false);
  void look_again();
  void retire(const spool::Place &commit, std::uint64_t sequence);

  // admission.cpp
  void found(const spool::Committed &at, Envelope &&envelope, bool noticed);
  MessageSlot admit(const spool::Committed &at, Envelope &&envelope, const Record *record, bool anew, const Times &now);
  std::string client_of(const Envelope &envelope) const;
  scheduler::FlowId flow_of(const Envelope &envelope, std::string_view source_pool);
  scheduler::FlowId flow_of(GroupSlot group, const Envelope &envelope);
  void place_recipients(MessageSlot slot, const Envelope &envelope, const Recipients &recipients, const Record *record,
                        const Times &as_of, std::uint16_t attempts, bool settled);
  void schedule_new(GroupSlot group);
  const Route &route_of(const Message &m, const Envelope &envelope, std::uint32_t recipient) const;
  Result<SharedStored> read_stored(MessageSlot slot);  // from the cache or the spool
  // Kept in the cache; null: unreadable, and set aside. `cold`: set if it was read from the spool.
  SharedStored stored_of(MessageSlot slot, bool *cold = nullptr);
  SharedStored peek(MessageSlot slot);  // past the cache; null: unreadable
  SharedEnvelope envelope_of(MessageSlot slot);
  Times times() const { return {clock_.wall(), clock_.mono()}; }
  Nanos wall_of(Nanos mono) const { return mono + clock_.wall() - clock_.mono(); }
  Nanos due(GroupSlot group) const { return wall_of(scheduler_->due(group)); }
  TransportInfo &transport_of(GroupSlot group) { return transports_[scheduler_->transport_of(group)]; }
  const TransportInfo &transport_of(GroupSlot group) const { return transports_[scheduler_->transport_of(group)]; }

  // recovery.cpp
  void recovered(const spool::Recovered &found);
  bool waits_for_recovery(const Connection &c) const;
  std::string snapshot_of(const Message &m);
  MessageState state_of(const Message &m) const;
  void begin_checkpoint();
  bool step_checkpoint();

  // compaction.cpp
  void compact();
  bool may_move(MessageId id, const spool::Place &commit) override;
  void moved(const spool::Committed &copy, const spool::Place &from) override;
  void damaged(MessageId id, const spool::Place &commit) override;
  void found_again(MessageSlot slot, const spool::Committed &at);
  void set_aside(MessageSlot slot, const std::string &why);

  // leases.cpp
  bool lease_some();
  bool active_on_disk();
  void mark_active();
  bool journal_stuck();
  void check_active_limits();
  void lease(GroupSlot group);
  bool verified(GroupSlot group, const spool::Committed &at);
  void go_on(MessageSlot slot);
  void wake(Message &m);
  void wait_for_disk(const Message &m);
  bool wakes(GroupSlot group);
  bool woken();
  void fill_lease(wire::Lease &out, const LeaseState &lease, const Envelope &envelope) const;
  LeaseState &begin_lease(GroupSlot group, Connection &c, const SharedStored &stored);
  void end_lease(LeaseMap::iterator at);  // descriptors, pins, counters; the group is the caller's
  void suspend(GroupSlot group, const Reason &reason, bool dead_transport);
  Reason why_suspended(GroupSlot group, bool dead_transport) const;
  ReasonId suspended_reason_of(scheduler::DestinationId destination) const {
    return destination < suspended_reasons_.size() ? suspended_reasons_[destination] : 0;
  }
  void check_deadlines(Nanos now);
  void check_holders(Nanos now);
  void end_hung(Connection &c, MessageId on);
  void lease_lost(LeaseMap::iterator at, bool possibly_delivered, bool suspect);
  void put_back(GroupSlot group);

  // outcomes.cpp
  void on_outcomes(Connection &c, const wire::Outcomes &o);
  void foreign_outcomes(Connection &c, const wire::Outcomes &o);
  void respond(GroupSlot group, wire::RecipientOutcome &outcome, bool &counted);
  std::string response_lines() const;
  std::uint64_t unthrottle(const std::string &name);
  std::uint32_t response_rules() const;
  std::string save_learned() const;
  void restore_learned(std::string_view parts);
  static const std::string &pool_of(const Message &m, const Envelope &envelope);
  const std::string &pool_of(GroupSlot group, const Envelope &envelope) const;
  static std::string_view own_pool_of(const Message &m, std::uint32_t recipient);
  const std::string *pool_said(GroupSlot group) const;
  std::optional<std::string> pool_now(GroupSlot group);
  SharedEnvelope nameless(MessageSlot slot);
  void defer_parked(GroupSlot group, const Recipients &failed, Batch &batch, const Envelope &envelope, bool interrupted,
                    Nanos decided);
  Deferral deferral_of(GroupSlot group, Nanos due);
  std::uint64_t reason_number(ReasonId reason);
  void foreign_done(Connection &c, std::uint64_t lease);
  bool may_schedule(GroupSlot group) const;
  void unpark(MessageSlot slot);
  bool apply(Batch &batch, GroupSlot group, std::uint32_t recipient, const wire::RecipientOutcome &outcome,
             const Envelope &envelope, const LeaseContext &context);
  bool spares_some(GroupSlot group, const Batch &batch) const;
  bool first_undecided(Message &m, std::uint32_t recipient, const wire::RecipientOutcome &reported,
                       const LeaseContext &context);
  void return_group(GroupSlot group, scheduler::Result result, Batch &batch, const Envelope &envelope,
                    NextAttempt next = {});
  Nanos lifetime_of(const Message &m) const;
  bool expired(GroupSlot group) const;
  void expire_failed(GroupSlot group, Batch &batch, const Envelope &envelope);
  void expire_group(GroupSlot group, Batch &batch, const Envelope &envelope, const Recipients &spared = {});
  void conclude(MessageSlot slot, Batch &&batch);
  void settle(MessageSlot slot);
  void tell_in_time(MessageSlot slot);
  void tell_overdue(Nanos now);
  void finish(MessageSlot slot);
  void acknowledge(ConnectionId connection, std::uint64_t lease);
  void send_acks();
  std::uint64_t journal(const std::string &bytes);
  void journal(Message &m, const std::string &bytes);
  void journal_state(Message &m) { journal(m, entry::state(m.id, state_of(m))); }
  void set_reason(PendingRecipient &p, const Reason &reason);

  // crashes.cpp
  void host_dead(const wire::Dead &dead);
  void ended_with(std::int32_t pid, MessageId id);
  void blame(MessageId id);
  void plugin_failed(MessageSlot slot, GroupSlot group, const wire::Outcomes &o);
  void egress_dead(Connection &c, const wire::Dead &dead);
  void hold_killer(MessageSlot slot);

  // policies.cpp
  bool policy_wants(wire::QueueStage stage) const { return (policy_stages_ & wire::bit_of(stage)) != 0; }
  void on_policy_stages(Connection &c, const wire::PolicyStages &said);
  void update_policy_stages();
  wire::MailFacts facts_of(const Message &m, const Envelope &envelope, const std::string &source_pool) const;
  void set_pools(Message &m, const std::vector<std::pair<std::uint32_t, std::string>> &pools);
  void forget_pools(Message &m);
  void hold_for_policy(MessageSlot slot, const std::string &reason);
  void hold_for_policy(MessageSlot slot, const wire::PolicyWord &word);
  void set_released(Message &m, bool released);
  void turned_away(Connection &c, LeaseMap::iterator at, const wire::Outcomes &o);
  bool goes_another_way(GroupSlot group, const Envelope &envelope, const wire::PolicyWord &word);
  Nanos within_life(GroupSlot group, Nanos after) const;
  void put_off(GroupSlot group, Nanos after);
  bool is_put_off(GroupSlot group) const;
  bool is_unrouted(GroupSlot group) const;
  Recipients recipients_of(GroupSlot group) const;

  // retries.cpp
  struct RetryQuestion {
    MessageId id;
    GroupSlot group = kNone;
    std::uint16_t attempts = 0;
  };
  void ask_retry(GroupSlot group, const Envelope &envelope);
  bool ask_retries();
  bool still_waits(const RetryQuestion &question) const;
  bool send_retry(const RetryQuestion &question, const Envelope &envelope);
  void on_retry_reply(const wire::RetryReply &reply);
  void give_up(GroupSlot group, const wire::PolicyWord &word);
  void forget_retries(ConnectionId router);

  // routing.cpp
  void request_route(GroupSlot group);
  void fill_route_request(wire::RouteRequest &request, GroupSlot group, const Envelope &envelope);
  void on_route_reply(const wire::RouteReply &reply);
  void route_again(GroupSlot group);  // not leased
  void reroute_orphans();
  bool reroute_some();

  // sites.cpp
  void look_at_exchangers(scheduler::TransportId transport, scheduler::DestinationId destination);
  void ask_for_exchangers();
  void on_mx_reply(const wire::MxReply &reply);
  std::string_view site_of(GroupSlot group) const {  // its name, or the destination's own
    return scheduler_->nexthop_of(scheduler_->site_of(scheduler_->destination_of(group)));
  }

  // notifications.cpp
  void notify(MessageSlot slot);
  bool tells_success(const Message &m, const Recipient &who, const wire::RecipientOutcome &outcome) const;
  void warn_delay(MessageSlot slot, const Envelope &envelope);
  void add_intents(MessageSlot slot, wire::DsnKind kind, bool postmaster, std::vector<Reported> &&recipients);
  void send_notifications();
  bool send_notification(MessageSlot slot, const Intent &intent);
  void on_dsn_written(const wire::DsnWritten &written);
  void notification_undeliverable(const DsnName &name, const std::string &reason);
  const Intent *intent_of(const DsnName &name) const;
  void adopt_done_notifications();
  void adopt_notifications();
  void notification_found(MessageId id, const FoundDsn &found);
  void notification_done(MessageId id);
  const Connection *writer_of(const spool::Place &commit) const;
  void vouched(const Segment &segment);
  void notification_written(MessageId parent, std::uint32_t event, bool suppressed = false);
  void router_lost(ConnectionId id);
  bool notifies(config::NotifyMask what) const;
  bool is_notice(const Envelope &envelope) const;
  void tell_trouble(MessageSlot slot, const Envelope &envelope, const Reported &reported);

  // telling.cpp
  void report(const DeliveryLine &line);
  void tell_inserted(MessageId id, const Envelope &envelope);
  void tell_routed(MessageId id, const Recipient &recipient, const Route &route);
  void tell_delivering(const LeaseState &lease, const wire::Lease &sent, const Connection &to);
  void tell_removed(const Message &m);

  // stores.cpp
  void name_spool();
  void say_spool_name(Connection &c);
  void say_spool_name();
  void recover_stores();
  void stores_recovered();
  void reload_stores();
  void store_changed(MessageId id);
  void owe_stores(const StoreKey &key);
  std::optional<StoreLinks::Outcome> outcome_for_stores(MessageId id);
  void snapshot_stores();
  void on_abandoned(const wire::Abandoned &abandoned);
  void journal_told();
  void step_stores(bool tick);
  void look_through_stores();
  bool absent(MessageId id) const;
  bool is_aside(MessageId id) const;
  void on_store_page(const StoreLinks::Page &page);
  Nanos certain_at() const;
  void judge_suspects();
  bool comes_back(const Restore &restore, const StoreKey &key) const;
  void begin_restore(const RestoreOrder &order);
  void choose_spool(Restore &restore, const StoreView &view);
  void step_restore();
  void on_restored(const wire::Restored &said);
  void restore_router_lost(ConnectionId id);
  std::string order_restore(const wire::QueueCommand &c);
  std::string store_lines() const;

  // commands.cpp
  void on_command(Connection &c, wire::QueueCommand &command);
  void on_credit(Connection &c, const wire::QueueCommandCredit &credit);
  bool step_commands();
  bool step(Command &command);
  bool matches(const Command &command, MessageSlot slot);
  bool act(Command &command, MessageSlot slot);
  void do_hold(MessageSlot slot, const std::string &reason);
  void do_release(MessageSlot slot);
  void do_requeue(MessageSlot slot);
  void do_delete(MessageSlot slot);
  void do_expire(MessageSlot slot);

  // rebinding.cpp
  std::string problem_of_rebind(const wire::QueueCommand &command) const;  // "": none
  bool do_rebind(const Command &command, MessageSlot slot);
  bool meant(const Command &command, GroupSlot group, const Recipient &recipient) const;

  // flush.cpp
  bool do_flush(MessageSlot slot, std::string_view destination);
  bool goes_to(GroupSlot group, std::string_view destination, SharedStored &stored);
  FlushProgress progress_of(const Flushed &f) const;
  bool flush_some();
  void wake_flushed(TransportInfo &t, int &n);
  void let_out(TransportInfo &t);
  void on_flush_request(Connection &c, const wire::FlushRequest &request);

  // permits.cpp
  void on_permits_ask(Connection &c, const wire::PermitsAsk &ask);

  // clog.cpp
  bool watch_clogs();
  void warn_of_full();

  // shape_command.cpp
  bool shape(Command &command);
  bool count_in(Shape &shape, MessageSlot slot);

  // listing.cpp
  void take_snapshot(Command &command);
  void changing(MessageSlot slot, bool fresh = false);
  void end_snapshots();
  std::string list_line(MessageSlot slot);
  std::string show_line(MessageSlot slot);
  std::string summary() const;

  // suspensions.cpp
  bool step_suspension(Command &command);
  bool tell_senders_apart(std::size_t &cursor);
  bool limited_senders_apart();
  std::string suspension_lines() const;
  Nanos age_of(GroupSlot group) const;
  void keep_scheduling();
  void keep_scheduling_soon();
  void restore_scheduling(std::string_view scheduling, std::string_view learned);

  // why.cpp
  scheduler::Why why_of(GroupSlot group) const;
  void put_why(Json &json, GroupSlot group, bool named = false) const;
  WaitingGroups waiting_with(GroupSlot asked, const scheduler::Why &why) const;
  std::string why_line(Command &command, MessageSlot slot) const;
  bool why_destination(Command &command);
  void count_why(WhyWalk &walk, GroupSlot group, const std::string &asked) const;
  std::string why_found(const WhyWalk::Key &key, const WhyWalk::Found &found, const std::string &asked) const;

  // maintenance.cpp
  void tick(Nanos now);
  void update_pressure();
  std::uint8_t brake_now() const;

  const Clock &clock_;
  Logger &log_;
  const config::Settings *settings_;
  spool::Store &store_;
  std::function<void(const wire::Peer &, std::string_view)> hung_;
  std::function<void()> wake_;
  DeliveryLog delivery_log_;
  Events events_;
  Index index_;
  Reasons reasons_;
  EnvelopeCache cache_;
  ClockSteps steps_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  std::unique_ptr<RateLinks> rate_links_;
  std::unique_ptr<StoreLinks> store_links_;
  StoreState stores_;

  std::map<ConnectionId, std::unique_ptr<Connection>> connections_;
  ConnectionId next_connection_ = 1;
  std::size_t router_scans_ = 0;  // of segments that routers may have filled, under way
  std::size_t hello_scans_ = 0;   // of segments that writers named, under way
  bool looked_again_ = false;
  spool::Store::Named named_;              // by writers, until then
  std::vector<TransportInfo> transports_;  // by scheduler::TransportId
  scheduler::TransportId route_transport_ = 0;
  scheduler::Responses responses_;
  std::map<std::string, std::pair<std::string, Nanos>, std::less<>> pools_;  // by site, that replies chose: until
  std::pair<MessageId, std::string> came_with_;  // the source pool of the message that pool_now() read last
  std::uint64_t policy_stages_ = 0;              // of the queue, that some policy wants to see
  std::deque<RetryQuestion> retries_;            // to be put to the router; may hold some that do not matter any more
  std::unordered_map<std::uint64_t, std::pair<RetryQuestion, ConnectionId>> retries_asked_;
  std::uint64_t last_retry_ = 0;                          // number of a question
  Nanos retries_said_at_ = 0;                             // that there are too many
  std::deque<std::string> domains_to_ask_;                // whose exchangers are wanted
  std::unordered_map<MessageId, std::uint32_t> foreign_;  // in leases given before our restart: how many
  // By destination, what is said to mail for those that were last out of reach: one text with the recipients' own.
  std::vector<ReasonId> suspended_reasons_;

  bool attach_done_ = false, gate_open_ = false, retire_open_ = false, draining_ = false;
  Nanos gate_at_ = 0;
  std::uint64_t start_sequence_ = 0;  // of the journal entry that makes our lease ids unique
  bool recovered_any_ = false;
  std::unique_ptr<Replay> replay_;           // until all that was there is in the index
  std::map<MessageId, FoundDsn> adopted_;    // notifications found meanwhile, until writers have spoken
  std::map<MessageId, FoundDsn> unvouched_;  // and those whose writer, which lives, may yet say that it gave them up
  std::uint64_t adopted_sequence_ = 0;       // of the journal entry that says of some that they were written
  std::uint64_t flagged_ = 0;                // of what was found: may have been under way in an earlier life
  std::vector<std::function<void()>> afterwards_;  // what peers said meanwhile of mail that may be yet to be found
  std::optional<MessageSlot> orphans_at_;  // some transport is gone, and from here on its mail is yet to be routed
  std::optional<MessageSlot> unpark_at_;   // the gate is open, and these are yet to be let out
  std::vector<std::pair<spool::Place, std::uint64_t>> retire_later_;
  std::uint64_t last_reason_ = 0, reasons_before_ = 0;  // numbers in the journal: the last, and before the checkpoint
  std::optional<MessageSlot> checkpoint_at_;            // the next message of the checkpoint being written

  std::uint64_t next_lease_ = 0;
  LeaseMap leases_;
  std::uint64_t leased_recipients_ = 0;
  std::set<std::pair<Nanos, std::uint64_t>> deadlines_;
  bool marked_active_ = false;
  std::uint64_t active_sequence_ = 0;  // of the journal entry that says so
  Nanos active_until_ = 0;             // and until which time (ClockSteps::latest)
  Nanos leased_until_ = 0;             // the same, as far as it is synced
  struct Waking {
    std::uint64_t sequence = 0;  // of the journal entry that says so
    bool wanted = false;         // a group of it was to be leased already
  };
  std::unordered_map<MessageId, Waking> waking_;                  // brought forward, and not yet on the disk
  std::deque<std::pair<std::uint64_t, MessageId>> waking_order_;  // as journaled
  std::set<MessageId> verifying_;                                 // their bodies are being read
  Nanos idle_since_ = 0;

  struct Ack {
    std::uint64_t sequence;
    ConnectionId connection;
    std::uint64_t lease;
  };
  std::deque<Ack> acks_;
  struct HostDeath {
    std::int32_t pid = 0;
    bool nameless = false;          // any message that was in there may be to blame
    std::vector<MessageId> blamed;  // once each, however many deliveries of it were in there
  };
  // Which transports' own processes died of late; and messages of processes whose death is not known yet. The two are
  // heard of from different sides, in either order.
  std::deque<HostDeath> host_deaths_;
  std::deque<std::pair<std::int32_t, MessageId>> ended_with_;
  std::uint64_t last_sequence_ = 0;
  Nanos journal_moved_ = 0;  // when it was last seen to make progress, or began to have something to write
  bool journal_stuck_ = false;

  struct DsnDue {
    DsnName name;
    std::uint64_t sequence;  // of the journal entry that says it must be written
  };
  std::deque<DsnDue> dsn_queue_;
  std::map<DsnName, Nanos> dsn_failing_;  // since when (mono)
  std::vector<DsnName> dsn_later_;
  std::deque<std::pair<Nanos, MessageId>> tell_by_;  // in order: what failed is told of by then (mono)
  std::map<DsnName, std::pair<ConnectionId, spool::Place>> dsn_requests_;
  Nanos dsn_retry_at_ = 0;
  Nanos trouble_told_at_ = 0;

  std::list<Command> commands_;
  std::uint64_t peeks_ = 0;     // envelopes read for operators
  std::uint64_t flushing_ = 0;  // groups yet to be let out
  ClogWatch clog_;
  std::size_t snapshots_ = 0;   // of them that are
  std::int64_t rates_day_ = 0;  // of the rates that the scheduler has
  // Whom the rates for senders match, and the next message to look at since these have changed.
  std::vector<std::vector<std::string>> limited_senders_;
  std::optional<std::size_t> senders_apart_at_;
  bool merged_flows_told_ = false;
  Nanos next_tick_ = 0, keep_scheduling_at_ = 0;
  Nanos scheduling_kept_ = 0;
  // Hashes of what was written last.
  std::size_t scheduling_ = 0, learned_ = 0;
  wire::Pressure pressure_;  // as ingress was last told
  Inflow inflow_;

  struct Counters {
    std::uint64_t admitted = 0, removed = 0, sent = 0, deferred = 0, bounced = 0, expired = 0, uncertain = 0;
    std::uint64_t possible_duplicates = 0, notifications = 0, double_bounces_dropped = 0, worker_deaths = 0, held = 0;
    std::uint64_t scans = 0, corrupt = 0, missed_deadlines = 0, clogs = 0, held_by_policies = 0;
    std::uint64_t retries_not_asked = 0, suppressed = 0;
  } counters_;
};

}  // namespace mansio::queue
