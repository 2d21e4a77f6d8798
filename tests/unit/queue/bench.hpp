// Bench: a QueueCore with a fake spool, a virtual clock and peers that note what they are sent.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <utility>
#include <vector>

#include "kernel/queue/core.hpp"
#include "tests/unit/queue/fake_store.hpp"

namespace mansio::queue {

class FakeLink final : public Link {
 public:
  bool send_raw(std::uint16_t type, std::string_view payload, std::vector<io::UniqueFd> fds) override {
    if (full || payload.size() > io::kMaxMessage) return false;
    sent.emplace_back(type, std::string{payload});
    n_fds += fds.size();
    return true;
  }
  // All messages of one type, taken out.
  template <class M>
  std::vector<M> take() {
    std::vector<M> out;
    for (auto at = sent.begin(); at != sent.end();) {
      if (at->first != M::kType) {
        ++at;
        continue;
      }
      out.push_back(*decode<M>(at->second));
      at = sent.erase(at);
    }
    return out;
  }
  void close() override { closed = true; }
  std::deque<std::pair<std::uint16_t, std::string>> sent;
  std::size_t n_fds = 0;
  bool full = false, closed = false;
};

class NoteSink final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override { text += line; }
  std::string text;
};

struct FakePeer {
  wire::Peer peer;
  std::shared_ptr<FakeLink> link;
  ConnectionId id = 0;
};

class Bench : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kSegment = 3, kEpoch = 103;
  using Match = std::vector<std::pair<std::string, std::string>>;

  Bench() {
    settings_.myhostname = "mx.example.net";
    config::Transport smtp;
    smtp.name = "smtp";
    smtp.destination_recipient_limit = 2;
    settings_.transports.push_back(smtp);
    settings_.queue.backoff_jitter = 0;
    settings_.queue.notify_classes = {"resource", "software", "2bounce"};
  }

  void start() {
    if (core_) {  // the process is gone; what was not synced with it
      core_.reset();
      store_.reset();
      control_ = {};
    }
    store_ = std::make_unique<FakeStore>(disk_);
    store_->slow_finding = slow_finding_;
    core_ = std::make_unique<QueueCore>(clock_, log_, settings_, *store_, 1);
    core_->on_hung([this](const wire::Peer &peer, std::string_view) { hung_.push_back(peer); });
    ASSERT_TRUE(core_->recover().ok());
  }
  void run() {
    for (int i = 0; i < 1000; ++i) {
      store_->sync();
      core_->synced();
      if (!core_->turn() && !core_->turn() && store_->all_synced()) return;
    }
  }
  void advance(Nanos by) {
    clock_.advance(by);
    run();
  }

  FakePeer attach(wire::RoleKind kind, const std::string &name, std::int32_t pid, std::uint32_t generation = 1) {
    FakePeer p;
    p.peer = {kind, 0, generation, name, pid};
    p.link = std::make_shared<FakeLink>();
    p.id = core_->attach(p.peer, p.link);
    return p;
  }
  void reattach(FakePeer &p) {
    p.link = std::make_shared<FakeLink>();
    p.id = core_->attach(p.peer, p.link);
  }
  template <class M>
  void say(const FakePeer &from, const M &m) {
    const auto bytes = encode(m);
    std::vector<io::UniqueFd> fds;
    io::Message message{M::kType, bytes, fds};
    core_->receive(from.id, message);
  }
  void die(const FakePeer &p, bool crashed = true, MessageId culprit = {}, bool killed = false) {
    core_->closed(p.id);
    core_->dead({p.peer, crashed, culprit.value, killed});
    run();
  }

  // The usual cast: an ingress with a segment, an egress for "smtp" that holds these leases of an earlier start, a
  // router.
  void cast(std::vector<std::uint64_t> held = {}, std::vector<MessageId> messages = {}) {
    ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
    egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
    router_ = attach(wire::RoleKind::Router, "router", 300);
    core_->attach_done();
    sequence_ = 0;
    say(ingress_, wire::WriterHello{{{kSegment, kEpoch}}});
    say(router_, wire::WriterHello{});
    say(egress_, wire::EgressHello{"smtp", 100, std::move(held), std::move(messages)});
    run();
  }
  void begin() {
    start();
    cast();
  }

  Envelope envelope(std::vector<std::string> to, std::string from = "sender@example.org") {
    Envelope e;
    e.sender = std::move(from);
    for (auto &address : to) {
      Recipient r;
      r.address = std::move(address);
      e.recipients.push_back(std::move(r));
    }
    e.routes = {{"smtp", ""}};
    e.arrival = clock_.wall();
    e.body.size = 1000;
    e.client_address = "192.0.2.1";
    return e;
  }
  spool::Committed commit(const Envelope &e, std::uint32_t epoch = kEpoch) {
    spool::Committed at;
    at.id = MessageId::make(0, epoch, next_++);
    const auto offset = 4096ull * next_;
    at.body = {kSegment, epoch, offset, 1000};
    at.envelope = {kSegment, epoch, offset + 1000, 100};
    at.commit = {kSegment, epoch, offset + 1104, 16};
    disk_.commits.emplace_back(at, e);
    return at;
  }
  MessageId mail(const Envelope &e) {
    const auto at = commit(e);
    say(ingress_, wire::Notice{++sequence_, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
    run();
    return at.id;
  }
  MessageId mail_to(std::vector<std::string> to) { return mail(envelope(std::move(to))); }

  std::vector<wire::Lease> leases() {
    run();
    return egress_.link->take<wire::Lease>();
  }
  wire::RecipientOutcome outcome(std::uint32_t index, wire::DeliveryStatus status, EnhancedStatus code,
                                 std::string text) {
    wire::RecipientOutcome o;
    o.index = index;
    o.status = status;
    o.enhanced = code;
    o.text = std::move(text);
    o.relay = "mx.example.com[192.0.2.25]:25";
    return o;
  }
  // Every recipient of the lease ends the same way.
  wire::Outcomes result(const wire::Lease &l, wire::DeliveryStatus status, bool site_failure = false) {
    wire::Outcomes o;
    o.lease = l.lease;
    o.id = l.id;
    o.done = true;
    o.site_failure = site_failure;
    for (std::uint32_t i = 0; i < l.recipients.size(); ++i) {
      o.recipients.push_back(l.recipients[i].recipient);
      o.outcomes.push_back(status == wire::DeliveryStatus::Sent      ? outcome(i, status, {2, 0, 0}, "250 ok")
                           : status == wire::DeliveryStatus::Bounced ? outcome(i, status, {5, 1, 1}, "550 no such user")
                                                                     : outcome(i, status, {4, 2, 0}, "450 later"));
    }
    return o;
  }
  void report(const wire::Lease &l, wire::DeliveryStatus status, bool site_failure = false) {
    say(egress_, result(l, status, site_failure));
    run();
  }
  // An operator's command, on its way.
  void command(wire::QueueCommand c) {
    if (!control_.link) control_ = attach(wire::RoleKind::Control, "control", 400);
    c.request = ++request_;
    c.by = "root";
    say(control_, c);
  }
  // All replies to one, with credit given for each.
  wire::QueueReply ask(wire::QueueCommand c) {
    command(std::move(c));
    wire::QueueReply all;
    for (int i = 0; i < 1000 && !all.done; ++i) {
      run();
      for (auto &r : control_.link->take<wire::QueueReply>()) {
        all.lines += r.lines;
        all.done = r.done;
        all.error = r.error;
        all.affected = r.affected;
        say(control_, wire::QueueCommandCredit{request_});
      }
    }
    EXPECT_TRUE(all.done);
    return all;
  }
  wire::QueueReply ask(const std::string &verb, Match match, std::vector<std::string> ids = {}) {
    wire::QueueCommand c;
    c.verb = verb;
    c.match = std::move(match);
    c.ids = std::move(ids);
    return ask(std::move(c));
  }
  std::vector<wire::DsnRequest> notifications() {
    run();
    return router_.link->take<wire::DsnRequest>();
  }
  double stat(const std::string &name) {
    double found = -1;
    core_->stats([&](const std::string &n, double v) {
      if (n == name) found = v;
    });
    return found;
  }
  bool known(MessageId id) { return core_->index().find(id) != kNone; }

  VirtualClock clock_;
  NoteSink sink_;
  Logger log_{sink_, clock_, "queue"};
  config::Settings settings_;
  bool slow_finding_ = false;  // of the next start
  FakeDisk disk_;
  std::unique_ptr<FakeStore> store_;
  std::unique_ptr<QueueCore> core_;
  FakePeer ingress_, egress_, router_, control_;
  std::vector<wire::Peer> hung_;  // whom the supervisor was asked to kill
  std::uint32_t next_ = 1;
  std::uint64_t sequence_ = 0;
  std::uint32_t request_ = 0;
};

}  // namespace mansio::queue
