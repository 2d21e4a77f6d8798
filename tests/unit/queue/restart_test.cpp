// What the queue knows after a start, clean or not: nothing acknowledged is lost, and nothing is leased that somebody
// may still hold.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;

using Restart = Bench;

TEST_F(Restart, RemembersWhatWasDoneAndWhatWaits) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.org"});
  auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  const auto sent = l[0].recipients[0].address;
  report(l[0], DeliveryStatus::Sent);
  report(l[1], DeliveryStatus::Deferred);
  store_->sync();
  begin();
  EXPECT_TRUE(known(id));
  EXPECT_TRUE(leases().empty());  // its backoff holds over the restart
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  ASSERT_EQ(l[0].recipients.size(), 1u);
  EXPECT_NE(l[0].recipients[0].address, sent);
}

TEST_F(Restart, DoesNotDeliverAgainWhatIsGone) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Sent);
  begin();
  EXPECT_FALSE(known(id));
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(store_->retired.contains(id));
}

TEST_F(Restart, DeliversAgainWhatWasNotSynced) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  say(egress_, result(l[0], DeliveryStatus::Sent));  // no sync follows
  EXPECT_TRUE(egress_.link->take<wire::OutcomesAck>().empty());
  begin();
  EXPECT_TRUE(known(id));
  EXPECT_TRUE(leases().empty());  // an egress has a moment to present what it holds
  advance(kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, id);
  EXPECT_TRUE(again[0].possible_duplicate);
}

TEST_F(Restart, NothingIsLeasedBeforeTheDiskKnowsThatMailMayBeUnderWay) {
  begin();
  const auto e = envelope({"a@example.com"});
  const auto at = commit(e);
  say(ingress_, wire::Notice{++sequence_, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
  while (core_->turn()) {
  }
  EXPECT_TRUE(egress_.link->take<wire::Lease>().empty());
  EXPECT_FALSE(disk_.active);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_TRUE(disk_.active);
}

// What a start flags is known to it alone at first. It stays flagged over the next start, though by then its retry lies
// in the future, or deliveries have rested for so long that none is under way.
TEST_F(Restart, WhatWasFlaggedStaysFlaggedWhenItIsDeferredOrDeliveriesRest) {
  for (const bool deferred : {true, false}) {
    disk_ = {};
    core_.reset();
    begin();
    const auto id = mail_to({"a@example.com"});
    ASSERT_EQ(leases().size(), 1u);
    start();  // under way when the process ended; what it held is gone
    if (deferred) {
      cast();
      advance(kSecond);
      const auto again = leases();
      ASSERT_EQ(again.size(), 1u);
      EXPECT_TRUE(again[0].possible_duplicate);
      report(again[0], DeliveryStatus::Deferred);
    } else {  // of the cast all are there but the egress; other mail is delivered
      auto other = attach(wire::RoleKind::Egress, "egress.other", 201);
      ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
      router_ = attach(wire::RoleKind::Router, "router", 300);
      core_->attach_done();
      sequence_ = 0;
      say(ingress_, wire::WriterHello{{{kSegment, kEpoch}}});
      say(router_, wire::WriterHello{});
      say(other, wire::EgressHello{"other", 100, {}, {}});
      advance(kSecond);
      auto e = envelope({"b@example.com"});
      e.routes = {{"other", ""}};
      mail(e);
      const auto l = other.link->take<wire::Lease>();
      ASSERT_EQ(l.size(), 1u);
      say(other, result(l[0], DeliveryStatus::Sent));
      run();
      advance(10 * kSecond);
      disk_.active = false;  // said after a rest, and taken back at once, as mail waits: the second word was lost
    }
    begin();
    advance(kSecond);
    if (deferred) advance(400 * kSecond);
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u);
    EXPECT_EQ(l[0].id, id);
    EXPECT_TRUE(l[0].possible_duplicate);
  }
}

TEST_F(Restart, NoCheckpointForgetsWhatIsGoneWhileAWriterHasNotSaidWhatItFills) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
  start();
  attach(wire::RoleKind::Ingress, "ingress.0", 100);  // it says no word
  core_->attach_done();
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  begin();
  EXPECT_FALSE(known(id));
}

TEST_F(Restart, ACheckpointHoldsTheSame) {
  begin();
  const auto gone = mail_to({"x@example.com"});
  report(leases().at(0), DeliveryStatus::Sent);
  const auto id = mail_to({"a@example.com", "b@example.org"});
  auto l = leases();
  report(l.at(0), DeliveryStatus::Sent);
  report(l.at(1), DeliveryStatus::Deferred);
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  ASSERT_FALSE(store_->want_checkpoint);
  begin();
  EXPECT_FALSE(known(gone));
  ASSERT_TRUE(known(id));
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].recipients.size(), 1u);
}

TEST_F(Restart, ACheckpointIsWrittenAtTheDisksPaceWhileMailGoesOn) {
  begin();
  const auto early = mail_to({"a@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  store_->checkpoint_room = false;
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  EXPECT_EQ(store_->checkpoints, 0);
  const auto late = mail_to({"b@example.org"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  const auto gone = mail_to({"c@example.net"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Sent);
  store_->checkpoint_room = true;
  run();
  EXPECT_EQ(store_->checkpoints, 1);
  begin();
  EXPECT_TRUE(known(early));
  EXPECT_TRUE(known(late));
  EXPECT_FALSE(known(gone));
  EXPECT_TRUE(leases().empty());  // both wait for their next attempt
}

TEST_F(Restart, WaitsUntilEveryLivingEgressHasReported) {
  begin();
  mail_to({"a@example.com"});
  (void)leases();
  start();
  auto one = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  auto two = attach(wire::RoleKind::Egress, "egress.other", 201);
  core_->attach_done();
  say(one, wire::EgressHello{"smtp", 100, {}, {}});
  advance(kSecond);
  EXPECT_TRUE(one.link->take<wire::Lease>().empty());
  die(two, false);
  advance(kSecond);
  EXPECT_EQ(one.link->take<wire::Lease>().size(), 1u);
}

TEST_F(Restart, KeepsBackWhatAnEgressStillHolds) {
  begin();
  const auto held = mail_to({"a@example.com"});
  const auto other = mail_to({"b@example.org"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  const auto &kept = l[0].id == held ? l[0] : l[1];
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {kept.lease}, {held}});
  advance(kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, other);
  report(kept, DeliveryStatus::Sent);
  EXPECT_FALSE(known(held));
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ(egress_.link->take<wire::OutcomesAck>().size(), 1u);
}

TEST_F(Restart, TheLastPartOfAHelloCounts) {
  begin();
  mail_to({"a@example.com"});
  mail_to({"b@example.org"});
  const auto other = mail_to({"c@example.net"});
  auto l = leases();
  ASSERT_EQ(l.size(), 3u);
  std::erase_if(l, [&](const auto &lease) { return lease.id == other; });
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {l[0].id}, true});
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  say(egress_, wire::EgressHello{"smtp", 100, {l[1].lease}, {l[1].id}, false});
  advance(kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, other);
}

TEST_F(Restart, ALeaseNamedInAnEarlierPartIsStillHeld) {
  begin();
  mail_to({"a@example.com"});
  mail_to({"b@example.org"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  core_->closed(egress_.id);
  reattach(egress_);  // the channel broke; both processes live
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {l[0].id}, true});
  say(egress_, wire::EgressHello{"smtp", 100, {l[1].lease}, {l[1].id}, false});
  advance(60 * kSecond);
  EXPECT_TRUE(leases().empty());
}

// What an egress process had of it on the channel before is gone, also what a delivery under way still uses.
TEST_F(Restart, OnANewChannelASegmentIsSentAnewThoughALeaseOfItIsOut) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  reattach(egress_);
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {l[0].id}});
  mail_to({"b@example.org"});
  ASSERT_EQ(leases().size(), 1u);
  EXPECT_EQ(egress_.link->take<wire::SegmentFd>().size(), 1u);
  report(l[0], DeliveryStatus::Sent);
  mail_to({"c@example.net"});
  ASSERT_EQ(leases().size(), 1u);
  EXPECT_TRUE(egress_.link->take<wire::SegmentFd>().empty());
}

TEST_F(Restart, AHeldLeaseMayEndForAllItsRecipientsInOneReport) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  ASSERT_EQ(l[0].recipients.size(), 2u);
  start();
  reattach(egress_);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {id}});
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(Restart, WhatAnEgressHoldsFromBeforeCountsAgainstWhatItTakes) {
  begin();
  say(egress_, wire::EgressHello{"smtp", 2, {}, {}});
  for (int i = 0; i < 5; ++i) mail_to({"a@d" + std::to_string(i) + ".example"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  start();
  reattach(egress_);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 2, {l[0].lease, l[1].lease}, {l[0].id, l[1].id}});
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  report(l[0], DeliveryStatus::Sent);
  EXPECT_EQ(leases().size(), 1u);
  report(l[1], DeliveryStatus::Sent);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, WhatAHeldLeaseDeliveredIsDoneThoughItsEnvelopeCannotBeRead) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  start();
  store_->unreadable = true;
  reattach(egress_);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {id}});
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
  EXPECT_EQ(egress_.link->take<wire::OutcomesAck>().size(), 1u);
}

TEST_F(Restart, AHeldLeaseThatFailsIsRetriedAfterTheBackoff) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l.at(0).lease}, {l.at(0).id}});
  advance(kSecond);
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_TRUE(leases().empty());
  advance(301 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, AHeldLeaseThatIsGivenUpGoesAgainAtOnce) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l.at(0).lease}, {l.at(0).id}});
  advance(kSecond);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.interrupted = true;
  say(egress_, o);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, l[0].id);
}

TEST_F(Restart, OfAHeldLeaseThatIsGivenUpWhoFailedForCertainExpires) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  start();
  cast({l[0].lease}, {id});
  advance(kSecond);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.outcomes[1].smtp_code = 450;
  o.interrupted = true;
  say(egress_, o);
  const auto again = leases();  // at once
  ASSERT_EQ(again.size(), 1u);
  ASSERT_EQ(again[0].recipients.size(), 1u);
  EXPECT_EQ(again[0].recipients[0].address, "a@example.com");
  report(again[0], DeliveryStatus::Sent);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  ASSERT_EQ(n[0].recipients.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].outcome.text, "450 later");
}

TEST_F(Restart, OfAHeldLeaseOnlyWhoFailedForCertainExpires) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  start();
  cast({l[0].lease}, {id});
  advance(kSecond);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.outcomes[0] = outcome(0, DeliveryStatus::Uncertain, {4, 4, 2}, "lost connection");
  say(egress_, o);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  ASSERT_EQ(n[0].recipients.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].outcome.text, "450 later");
  advance(301 * kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  ASSERT_EQ(again[0].recipients.size(), 1u);
  EXPECT_EQ(again[0].recipients[0].address, "a@example.com");
  EXPECT_TRUE(again[0].possible_duplicate);
}

TEST_F(Restart, AnEgressThatDoesNotSayOfWhatKeepsItsTransportBack) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l.at(0).lease}, {}});
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  die(egress_, true);
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, FlagsWhatAnOperatorHeldInItsLeaseOrBroughtForward) {
  begin();
  const auto flushed = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto held = mail_to({"b@example.org"});
  ASSERT_EQ(leases().size(), 1u);
  const auto control = attach(wire::RoleKind::Control, "control", 400);
  wire::QueueCommand c;
  c.request = 1;
  c.verb = "hold";
  c.ids = {to_string(held)};
  say(control, c);
  c.request = 2;
  c.verb = "flush";
  c.ids = {to_string(flushed)};
  say(control, c);
  ASSERT_EQ(leases().size(), 1u);
  start();
  EXPECT_TRUE(core_->index().message(core_->index().find(flushed)).possible_duplicate);
  EXPECT_TRUE(core_->index().message(core_->index().find(held)).possible_duplicate);
}

// What is under way was due once, by a clock that is not that of the start, or not even that of the lease.
TEST_F(Restart, FlagsWhatWasUnderWayThoughTheClockIsBehind) {
  for (const bool before : {true, false}) {
    for (const bool checkpoint : {true, false}) {
      disk_ = {};
      begin();
      const auto id = mail_to({"a@example.com"});
      report(leases().at(0), DeliveryStatus::Deferred);
      if (before) clock_.step_wall(-7200 * kSecond);
      advance(3600 * kSecond);
      ASSERT_EQ(leases().size(), 1u);
      store_->want_checkpoint = checkpoint;
      advance(kSecond);
      ASSERT_EQ(store_->checkpoints, checkpoint ? 1 : 0);
      if (!before) clock_.step_wall(-7200 * kSecond);
      start();
      EXPECT_TRUE(core_->index().message(core_->index().find(id)).possible_duplicate) << before << checkpoint;
    }
  }
}

TEST_F(Restart, DeferredMailDoesNotWaitForAClockThatIsBehind) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  clock_.step_wall(-864'000 * kSecond);
  begin();
  advance(settings_.queue.maximal_backoff_time);
  EXPECT_EQ(leases().size(), 1u);
}

// A life may find mail, lease it and end before the writer gets round to speaking of it.
TEST_F(Restart, FlagsWhatAnEarlierLifeLeasedThoughItsWriterSpeaksOfItOnlyNow) {
  begin();
  const auto e = envelope({"a@example.com"});
  const auto old = commit(e);
  begin();
  advance(kSecond);
  ASSERT_EQ(leases().size(), 1u);
  slow_finding_ = true;
  start();
  const auto fresh = commit(e, store_->first_epoch());
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  std::uint64_t sequence = 0;
  for (const auto &at : {old, fresh})
    say(ingress_, wire::Notice{++sequence, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
  store_->finding();
  const auto flagged = [&](MessageId id) { return core_->index().message(core_->index().find(id)).possible_duplicate; };
  EXPECT_TRUE(flagged(old.id));
  EXPECT_FALSE(flagged(fresh.id));
}

// A delivery process that outlived it may still report on a lease of an earlier life.
TEST_F(Restart, LeasesAreNotNumberedAnewThoughTheJournalIsLost) {
  begin();
  mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  const auto before = l[0].lease;
  disk_.journal.clear();
  begin();
  advance(kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_GT(l[0].lease, before);
}

TEST_F(Restart, AnOutcomeIsOfTheMessageItNamesWhateverItsLeaseIsCalled) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = result(l[0], DeliveryStatus::Sent);
  o.id = MessageId::make(0, kEpoch - 1, 1);  // of an earlier life, and gone
  say(egress_, o);
  run();
  EXPECT_TRUE(known(id));
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(Restart, AFailureOfOneGroupDoesNotUnsayThatAnotherWasBroughtForward) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.org"});
  for (const auto &lease : leases()) report(lease, DeliveryStatus::Deferred);
  const auto control = attach(wire::RoleKind::Control, "control", 400);
  wire::QueueCommand c;
  c.request = 1;
  c.verb = "flush";
  c.ids = {to_string(id)};
  say(control, c);
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  report(l[0], DeliveryStatus::Deferred);
  start();
  run();
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).possible_duplicate);
}

TEST_F(Restart, WhatIsBroughtForwardBeforeAllHaveSpokenIsLeasedThen) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  store_->sync();
  begin();
  ASSERT_FALSE(core_->leasing());
  wire::QueueCommand c;
  c.request = 1;
  c.verb = "flush";
  c.ids = {to_string(id)};
  say(attach(wire::RoleKind::Control, "control", 400), c);
  run();
  ASSERT_FALSE(core_->leasing());
  advance(kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, WhatWasBroughtForwardIsLeasedOnceTheDiskKnows) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto control = attach(wire::RoleKind::Control, "control", 400);
  for (const auto *verb : {"flush", "hold", "release", "requeue"}) {
    wire::QueueCommand c;
    c.request = 1;
    c.verb = verb;
    c.ids = {to_string(id)};
    say(control, c);  // and no sync comes
    for (int i = 0; i < 3; ++i) core_->turn();
    EXPECT_TRUE(egress_.link->take<wire::Lease>().empty()) << verb;
  }
  const auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  for (const auto &request : requests) {
    wire::RouteReply reply;
    reply.request = request.request;
    reply.id = request.id;
    reply.routes.emplace_back(0, Route{"smtp", ""});
    say(router_, reply);
    for (int i = 0; i < 3; ++i) core_->turn();
    EXPECT_TRUE(egress_.link->take<wire::Lease>().empty());
  }
  ASSERT_EQ(leases().size(), 1u);
  start();
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).possible_duplicate);
}

// What was written down of it before the checkpoint does not count any more.
TEST_F(Restart, FlagsWhatWasBroughtForwardThoughACheckpointCameBeforeItsLease) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto control = attach(wire::RoleKind::Control, "control", 400);
  wire::QueueCommand c;
  c.request = 1;
  c.verb = "flush";
  c.ids = {to_string(id)};
  say(control, c);  // and no sync comes
  for (int i = 0; i < 3; ++i) core_->turn();
  ASSERT_TRUE(egress_.link->take<wire::Lease>().empty());
  store_->want_checkpoint = true;
  clock_.advance(2 * kSecond);
  core_->turn();
  ASSERT_EQ(store_->checkpoints, 1);
  ASSERT_EQ(leases().size(), 1u);
  start();
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).possible_duplicate);
}

TEST_F(Restart, WhatIsBroughtForwardTwiceIsLeased) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto control = attach(wire::RoleKind::Control, "control", 400);
  for (int n = 0; n < 2; ++n) {
    wire::QueueCommand c;
    c.request = 1;
    c.verb = "flush";
    c.ids = {to_string(id)};
    say(control, c);
    for (int i = 0; i < 3; ++i) core_->turn();
  }
  EXPECT_TRUE(egress_.link->take<wire::Lease>().empty());
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, NothingNewIsLeasedWhileTheJournalCannotBeWritten) {
  begin();
  mail_to({"a@example.com"});
  say(egress_, result(leases().at(0), DeliveryStatus::Sent));  // and no sync comes
  clock_.advance(10 * kSecond);
  const auto e = envelope({"b@example.org"});
  const auto at = commit(e);
  say(ingress_, wire::Notice{++sequence_, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
  while (core_->turn()) {
  }
  EXPECT_TRUE(egress_.link->take<wire::Lease>().empty());
  EXPECT_NE(sink_.text.find("the journal cannot be written"), std::string::npos) << sink_.text;
  EXPECT_EQ(leases().size(), 1u);  // it goes on with the first sync
}

TEST_F(Restart, ACleanStopFlagsNothing) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  core_->drain();
  EXPECT_TRUE(core_->drained());
  ASSERT_TRUE(core_->stop().ok());
  begin();
  advance(301 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_FALSE(l[0].possible_duplicate);
}

TEST_F(Restart, MailCommittedWhileTheQueueWasAwayIsFound) {
  begin();
  const auto at = commit(envelope({"a@example.com"}));  // its notice was never sent
  core_->closed(ingress_.id);
  reattach(ingress_);
  say(ingress_, wire::WriterHello{{{kSegment, kEpoch}}});
  EXPECT_TRUE(known(at.id));
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, MailOfAWriterThatDiedBeforeItSaidAWordIsFound) {
  start();
  const auto at = commit(envelope({"a@example.com"}));  // after we looked there, and then it died
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  router_ = attach(wire::RoleKind::Router, "router", 300);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  EXPECT_FALSE(store_->named_again);  // the router has not spoken
  say(router_, wire::WriterHello{{{kSegment + 1, kEpoch + 1}}});
  ASSERT_TRUE(store_->named_again);
  EXPECT_EQ(*store_->named_again, (spool::Store::Named{{kSegment + 1, kEpoch + 1}}));
  EXPECT_TRUE(known(at.id));
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Restart, FlagsWhatIsFoundLateAsAnEarlierLifeMayHaveReadIt) {
  begin();
  mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  start();
  const auto at = commit(envelope({"b@example.org"}));
  router_ = attach(wire::RoleKind::Router, "router", 300);
  core_->attach_done();
  say(router_, wire::WriterHello{});
  ASSERT_TRUE(known(at.id));
  EXPECT_TRUE(core_->index().message(core_->index().find(at.id)).possible_duplicate);
}

TEST_F(Restart, NoNotificationIsAskedForBeforeTheLastLook) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  ASSERT_EQ(notifications().size(), 1u);
  start();
  store_->slow_scans = true;
  router_ = attach(wire::RoleKind::Router, "router", 300);
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  core_->attach_done();
  say(ingress_, wire::WriterHello{{{kSegment, kEpoch}}});
  say(router_, wire::WriterHello{});
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(store_->named_again);
  store_->finish_scans();
  EXPECT_TRUE(store_->named_again);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Restart, MailWhoseBodyIsNowhereIsSetAsideUnlessItIsGone) {
  begin();
  const auto gone = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Sent);
  const auto id = mail_to({"b@example.org"});
  ASSERT_EQ(leases().size(), 1u);
  disk_.lost.insert({kSegment, kEpoch});
  begin();
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_FALSE(known(gone));
  ASSERT_TRUE(known(id));
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).corrupt);
  EXPECT_NE(sink_.text.find("its body is nowhere"), std::string::npos);
}

TEST_F(Restart, AGapInTheNoticesMakesTheSegmentBeScanned) {
  begin();
  const auto lost = commit(envelope({"a@example.com"}));
  ++sequence_;
  mail_to({"b@example.org"});
  EXPECT_TRUE(known(lost.id));
  EXPECT_EQ(leases().size(), 2u);  // each once
}

TEST_F(Restart, TheSegmentsOfADeadWriterAreScannedAndSealed) {
  begin();
  const auto lost = commit(envelope({"a@example.com"}));
  die(ingress_);
  EXPECT_TRUE(known(lost.id));
  EXPECT_TRUE(store_->orphaned_.contains({kSegment, kEpoch}));
}

TEST_F(Restart, MailGoesOnWhileTheSegmentsOfADeadWriterAreRead) {
  begin();
  const auto lost = commit(envelope({"a@example.com"}));
  store_->slow_scans = true;
  die(ingress_);
  EXPECT_FALSE(known(lost.id));
  EXPECT_TRUE(store_->orphaned_.empty());
  EXPECT_EQ((store_->pins[{kSegment, kEpoch}]), 1);
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 101);
  sequence_ = 0;
  say(ingress_, wire::WriterHello{});
  mail_to({"b@example.org"});
  EXPECT_EQ(leases().size(), 1u);
  store_->finish_scans();
  EXPECT_TRUE(known(lost.id));
  EXPECT_TRUE(store_->orphaned_.contains({kSegment, kEpoch}));
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Restart, AGrantWhoseAskerDiedIsSealed) {
  begin();
  ingress_.link->full = true;
  say(ingress_, wire::SegmentRequest{1, 0});
  EXPECT_TRUE(store_->sealed_.contains({11, 111}));
}

TEST_F(Restart, TheRouterGetsASegmentOnAFullDisk) {
  begin();
  store_->full = true;
  say(ingress_, wire::SegmentRequest{1, 0});
  say(router_, wire::SegmentRequest{1, 0});
  const auto refused = ingress_.link->take<wire::SegmentReply>();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].status, Status::Busy);
  const auto given = router_.link->take<wire::SegmentReply>();
  ASSERT_EQ(given.size(), 1u);
  EXPECT_EQ(given[0].status, Status::Ok);
}

TEST_F(Restart, RefusesNewMailWhenTheDiskIsFullAndSaysWhenItIsOver) {
  begin();
  ingress_.link->take<wire::Pressure>();
  store_->full = true;
  advance(2 * kSecond);
  auto p = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(p.size(), 1u);
  EXPECT_FALSE(p[0].accept);
  EXPECT_EQ(p[0].code, 452);
  EXPECT_EQ(to_string(p[0].enhanced), "4.3.1");
  store_->full = false;
  advance(2 * kSecond);
  p = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(p.size(), 1u);
  EXPECT_TRUE(p[0].accept);
}

TEST_F(Restart, SlowsClientsDownWhileMailComesInFasterThanItGoesOut) {
  settings_.queue.in_flow_backlog = 20;
  begin();
  ingress_.link->take<wire::Pressure>();
  const auto told = [&] {
    advance(kSecond);
    const auto p = ingress_.link->take<wire::Pressure>();
    return p.empty() ? -1 : static_cast<int>(p.back().brake);
  };
  std::vector<MessageId> mail;
  const auto more = [&](int n) {
    for (int i = 0; i < n; ++i) mail.push_back(mail_to({"a@example.com"}));
  };
  // What is leased is under way: it is not waiting for its first attempt any more.
  more(20);
  const auto under_way = leases().size();
  ASSERT_LT(under_way, 20u);
  more(static_cast<int>(under_way) - 1);
  EXPECT_EQ(told(), -1);
  more(1);
  advance(kSecond);
  const auto first = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_TRUE(first[0].accept);
  EXPECT_EQ(first[0].brake, 1);
  EXPECT_EQ(first[0].heavy, std::vector<std::string>{"192.0.2.1/32"});
  more(20);
  EXPECT_EQ(told(), 2);
  EXPECT_EQ(told(), -1);
}

// An IPv6 host that takes another address for each message is one client; so are those of the listener's own prefix.
TEST_F(Restart, AClientWithManyAddressesIsSlowedDownAsOne) {
  settings_.queue.in_flow_backlog = 20;
  config::Listener wide;
  wide.name = "wide";
  wide.smtpd.client_ipv4_prefix_length = 24;
  settings_.listeners.push_back(wide);
  begin();
  for (int i = 0; i < 12; ++i) {
    auto e = envelope({"a@example.com"});
    e.client_address = "2001:db8::" + std::to_string(i + 1);
    mail(e);
    e.client_address = "192.0.2." + std::to_string(i + 1);
    e.listener = "wide";
    mail(e);
  }
  for (const auto *address : {"198.51.100.1", "198.51.100.2"}) {
    auto e = envelope({"a@example.com"});
    e.client_address = address;
    mail(e);
  }
  advance(kSecond);
  const auto told = ingress_.link->take<wire::Pressure>();
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().brake, 1);
  EXPECT_EQ(told.back().heavy, (std::vector<std::string>{"192.0.2.0/24", "[2001:db8::]/84"}));
}

using Crash = Bench;

TEST_F(Crash, MailOfADeadWorkerIsLeasedAnewAtOnceAndAlone) {
  begin();
  const auto a = mail_to({"a@example.com"});
  mail_to({"b@example.org"});
  ASSERT_EQ(leases().size(), 2u);
  die(egress_, true, a);
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  auto l = leases();
  // Either the suspect runs alone or the other one runs without it.
  ASSERT_EQ(l.size(), 1u);
  EXPECT_TRUE(l[0].possible_duplicate);
  std::set<MessageId> seen{l[0].id};
  report(l[0], DeliveryStatus::Sent);
  advance(10 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  seen.insert(l[0].id);
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(Crash, AMessageThatKillsWorkerAfterWorkerIsHeldWithTheReason) {
  begin();
  const auto id = mail_to({"a@example.com"});
  for (std::int32_t i = 0; i < 3; ++i) {
    advance(10 * kSecond);
    ASSERT_EQ(leases().size(), 1u) << i;
    die(egress_, true, id);
    egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 300 + i);
    say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  }
  advance(600 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).held);
  EXPECT_NE(sink_.text.find("died while they worked on it"), std::string::npos);
  begin();  // over a restart too
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).held);
}

// The plugin has a process of its own, whose death the supervisor tells, and an egress process that tells what was in
// it.
class PluginCrash : public Bench {
 protected:
  void ends(std::int32_t pid, MessageId culprit = {}, bool killed = false) {
    core_->dead({{wire::RoleKind::Host, 0, 1, "host.transport.smtp", pid}, true, culprit.value, killed});
    run();
  }
  void ended_with(const wire::Lease &l, std::int32_t pid, DeliveryStatus said = DeliveryStatus::Uncertain) {
    auto o = result(l, said);
    o.outcomes[0].plugin_failed = said == DeliveryStatus::Uncertain;  // as the host has it of whom nothing was said
    o.ended_with = pid;
    say(egress_, o);
  }
  int kills(MessageId id) { return core_->index().message(core_->index().find(id)).kills; }
};

TEST_F(PluginCrash, WhereNoMarkerNamesAMessageEachThatWasUnderWayIsTriedAlone) {
  for (const bool told_first : {true, false}) {
    disk_ = {};
    core_.reset();
    begin();
    const auto a = mail_to({"a@example.com"});
    const auto b = mail_to({"b@example.org"});
    const auto l = leases();
    ASSERT_EQ(l.size(), 2u);
    if (told_first) ends(700);
    for (const auto &lease : l) ended_with(lease, 700);
    if (!told_first) ends(700);
    EXPECT_EQ(kills(a), 1);
    EXPECT_EQ(kills(b), 1);
    mail_to({"c@example.net"});
    const auto other = leases();  // which was not in there, and waits for neither
    ASSERT_EQ(other.size(), 1u);
    report(other[0], DeliveryStatus::Sent);
    advance(300 * kSecond);
    const auto first = leases();
    ASSERT_EQ(first.size(), 1u);
    report(first[0], DeliveryStatus::Sent);
    advance(10 * kSecond);
    const auto second = leases();
    ASSERT_EQ(second.size(), 1u);
    EXPECT_NE(second[0].id, first[0].id);
    report(second[0], DeliveryStatus::Deferred);
    EXPECT_EQ(kills(second[0].id), 0);
  }
}

TEST_F(PluginCrash, AMessageThatEndsItAgainAndAgainIsHeldThoughNothingNamesIt) {
  begin();
  const auto id = mail_to({"a@example.com"});
  for (std::int32_t pid = 700; pid < 703; ++pid) {
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u) << pid;
    ended_with(l[0], pid);
    ends(pid);
    advance(4000 * kSecond);
  }
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).held);
}

TEST_F(PluginCrash, AMessageThatEndsItOnceItHasSaidThatItIsPutOffIsHeldAsWell) {
  begin();
  const auto id = mail_to({"a@example.com"});
  for (std::int32_t pid = 700; pid < 703; ++pid) {
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u) << pid;
    ended_with(l[0], pid, DeliveryStatus::Deferred);
    ends(pid);
    EXPECT_EQ(kills(id), pid - 699);
    advance(4000 * kSecond);
  }
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(core_->index().message(core_->index().find(id)).held);
}

TEST_F(PluginCrash, ADeathCountsOnceForAMessageHoweverManyDeliveriesOfItWereUnderWay) {
  for (std::size_t told_before = 0; told_before <= 3; ++told_before) {
    disk_ = {};
    core_.reset();
    begin();
    const auto id = mail_to({"a@example.com", "b@example.org", "c@example.net"});
    const auto l = leases();
    ASSERT_EQ(l.size(), 3u);
    for (std::size_t i = 0; i < told_before; ++i) ended_with(l[i], 700);
    ends(700);
    for (std::size_t i = told_before; i < l.size(); ++i) ended_with(l[i], 700);
    EXPECT_EQ(kills(id), 1) << told_before;
    EXPECT_FALSE(core_->index().message(core_->index().find(id)).held);
  }
}

TEST_F(PluginCrash, WhatIsNamedAloneIsSuspectAndNobodyIsOfAKillFromOutside) {
  begin();
  const auto a = mail_to({"a@example.com"});
  const auto b = mail_to({"b@example.org"});
  auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  for (const auto &lease : l) ended_with(lease, 700);
  ends(700, a);
  EXPECT_EQ(kills(a), 1);
  EXPECT_EQ(kills(b), 0);
  const auto c = mail_to({"c@example.net"});
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  ends(701, {}, true);
  ended_with(l[0], 701);
  EXPECT_EQ(kills(c), 0);
}

TEST_F(Crash, AProcessKilledFromOutsideMakesNobodySuspect) {
  begin();
  for (std::int32_t i = 0; i < 5; ++i) {
    for (int n = 0; n < 3 && i == 0; ++n) mail_to({"a@d" + std::to_string(n) + ".example"});
    ASSERT_EQ(leases().size(), 3u) << i;  // all at once, none alone, none on hold
    die(egress_, true, {}, true);
    egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 300 + i);
    say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  }
}

TEST_F(Crash, ADeathCountsOnceForAMessageHoweverManyDeliveriesOfItAreLost) {
  for (const bool named : {true, false}) {
    disk_ = {};
    core_.reset();
    begin();
    const auto id = mail_to({"a@example.com", "b@example.org", "c@example.net"});
    ASSERT_EQ(leases().size(), 3u);
    die(egress_, true, named ? id : MessageId{});
    EXPECT_EQ(core_->index().message(core_->index().find(id)).kills, 1);
    EXPECT_FALSE(core_->index().message(core_->index().find(id)).held);
  }
}

TEST_F(Crash, SuccessForgivesEarlierDeaths) {
  begin();
  const auto id = mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  die(egress_, true, id);
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 301);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(core_->index().message(core_->index().find(id)).kills, 0);
}

TEST_F(Crash, ALeaseThatIsRefusedIsNoAttemptAndForgivesNothing) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  const auto id = mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  die(egress_, true, id);
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  wire::Outcomes refused;
  refused.lease = l[0].lease;
  refused.id = id;
  refused.done = refused.refused = true;
  refused.reason = "more than it takes";
  say(egress_, refused);
  EXPECT_TRUE(leases().empty());  // not again at once
  EXPECT_EQ(egress_.link->take<wire::OutcomesAck>().size(), 1u);
  const auto slot = core_->index().find(id);
  ASSERT_NE(slot, kNone);
  EXPECT_EQ(core_->index().message(slot).kills, 1);
  EXPECT_EQ(core_->index().group(core_->index().message(slot).groups).attempts, 0);
  EXPECT_TRUE(notifications().empty());
  advance(kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

// A stop, or the end of the time that a reload gives the old processes.
TEST_F(Crash, ADeliveryThatIsGivenUpForAStopIsNoAttempt) {
  for (const auto status : {DeliveryStatus::Deferred, DeliveryStatus::Uncertain}) {
    disk_ = {};
    core_.reset();
    settings_.queue.maximal_queue_lifetime = 0;
    begin();
    const auto id = mail_to({"a@example.com", "b@example.com"});
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u);
    auto o = result(l[0], status);
    o.outcomes[0] = outcome(0, DeliveryStatus::Sent, {2, 0, 0}, "250 ok");
    o.interrupted = true;
    core_->draining(egress_.peer);
    say(egress_, o);
    EXPECT_TRUE(leases().empty());
    EXPECT_EQ(egress_.link->take<wire::OutcomesAck>().size(), 1u);
    EXPECT_TRUE(notifications().empty());
    const auto slot = core_->index().find(id);
    ASSERT_NE(slot, kNone);
    EXPECT_EQ(core_->index().group(core_->index().message(slot).groups).attempts, 0);
    core_->drain();
    ASSERT_TRUE(core_->stop().ok());
    begin();
    advance(kSecond);
    const auto again = leases();
    ASSERT_EQ(again.size(), 1u);
    ASSERT_EQ(again[0].recipients.size(), 1u);
    EXPECT_EQ(again[0].recipients[0].address, "b@example.com");
    EXPECT_EQ(again[0].possible_duplicate, status == DeliveryStatus::Uncertain);
  }
}

// A transport whose process is gone counts as unavailable after a while, and its mail as tried, but does not expire.
TEST_F(Crash, AStopIsNoOutage) {
  settings_.queue.notify_classes.clear();  // bounces only
  for (const bool stop : {false, true}) {
    disk_ = {};
    core_.reset();
    sink_.text.clear();
    settings_.queue.maximal_queue_lifetime = 0;
    begin();
    mail_to({"a@example.com"});
    mail_to({"b@example.org"});
    ASSERT_EQ(leases().size(), 2u);
    if (stop) core_->draining({wire::RoleKind::Queue, 0, 1, "queue", 50});
    core_->draining(egress_.peer);
    die(egress_, false);
    advance(kSecond);
    advance(120 * kSecond);
    EXPECT_EQ(sink_.text.find("mail transport unavailable") == std::string::npos, stop);
    EXPECT_TRUE(notifications().empty()) << "nobody has tried";
  }
}

TEST_F(Crash, MailOfATransportThatIsNoLongerConfiguredExpires) {
  settings_.queue.notify_classes.clear();  // bounces only
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  auto without = settings_;
  without.transports.clear();
  core_->reload(without);
  core_->draining(egress_.peer);
  die(egress_, false);
  advance(kSecond);
  advance(120 * kSecond);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Crash, OfADeliveryThatIsGivenUpWhoFailedForCertainExpires) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.outcomes[1].smtp_code = 450;
  o.interrupted = true;
  say(egress_, o);
  advance(kSecond);
  const auto again = leases();
  ASSERT_EQ(again.size(), 1u);
  ASSERT_EQ(again[0].recipients.size(), 1u);
  EXPECT_EQ(again[0].recipients[0].address, "a@example.com");
  report(again[0], DeliveryStatus::Sent);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  ASSERT_EQ(n[0].recipients.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].outcome.text, "450 later");
}

// Reloads that follow each other faster than a delivery ends would keep its mail for ever.
TEST_F(Crash, ADeliveryThatIsGivenUpAgainWasAnAttempt) {
  for (const bool old : {false, true}) {
    disk_ = {};
    core_.reset();
    settings_.queue.maximal_queue_lifetime = old ? 0 : 86400 * kSecond;
    begin();
    const auto id = mail_to({"a@example.com"});
    for (int i = 0; i < 2; ++i) {
      const auto l = leases();
      ASSERT_EQ(l.size(), 1u) << i;
      EXPECT_TRUE(notifications().empty());
      auto o = result(l[0], DeliveryStatus::Deferred);
      o.interrupted = true;
      say(egress_, o);
      advance(kSecond);
    }
    EXPECT_TRUE(leases().empty());
    EXPECT_EQ(notifications().size(), old ? 1u : 0u);
    if (old) continue;
    const auto slot = core_->index().find(id);
    ASSERT_NE(slot, kNone);
    EXPECT_EQ(core_->index().group(core_->index().message(slot).groups).attempts, 1);
    advance(301 * kSecond);
    EXPECT_EQ(leases().size(), 1u);
  }
}

TEST_F(Crash, ADeliveryThatIsGivenUpAfterAnUncertainOneIsNoAttemptAndForgivesNothing) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  report(l[0], DeliveryStatus::Uncertain);
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.interrupted = true;
  say(egress_, o);
  advance(kSecond);
  EXPECT_TRUE(notifications().empty());
  l = leases();  // at once
  ASSERT_EQ(l.size(), 1u);
  report(l[0], DeliveryStatus::Uncertain);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Crash, ADeliveryThatIsGivenUpSaysNothingOfTheDestination) {
  config::ResponseRule rule;
  rule.pattern = "cancelled";
  settings_.responses.push_back(rule);
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a" + std::to_string(i) + "@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  for (const auto &lease : l) {
    auto o = result(lease, DeliveryStatus::Deferred, true);
    o.outcomes[0].text = o.reason = "delivery cancelled";
    o.interrupted = true;
    say(egress_, o);
  }
  EXPECT_TRUE(leases().empty());  // not again to a process that gives up
  advance(kSecond);
  EXPECT_EQ(leases().size(), 5u);
  EXPECT_EQ(sink_.text.find("suspend"), std::string::npos) << sink_.text;
}

TEST_F(Crash, ADeliveryThatMissesItsDeadlineWasAnAttemptThoughItIsGivenUpForAStopToo) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  advance(3601 * kSecond);
  ASSERT_EQ(egress_.link->take<wire::CancelLease>().size(), 1u);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.interrupted = true;
  say(egress_, o);
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  advance(4000 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Crash, AMissedDeadlineIsCancelledAndStaysPinnedUntilTheHolderIsDead) {
  begin();
  mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  advance(3601 * kSecond);
  EXPECT_EQ(egress_.link->take<wire::CancelLease>().size(), 1u);
  EXPECT_TRUE(hung_.empty());
  advance(31 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ((store_->pins[{kSegment, kEpoch}]), 2);
  EXPECT_EQ(stat("mansio_lease_deadlines_missed_total"), 1);
  EXPECT_EQ(hung_, std::vector<wire::Peer>{egress_.peer});
  advance(31 * kSecond);
  EXPECT_EQ(hung_.size(), 2u);  // asked again: the order may have been lost
  EXPECT_EQ(stat("mansio_lease_deadlines_missed_total"), 1);
  die(egress_, true);
  EXPECT_EQ((store_->pins[{kSegment, kEpoch}]), 1);
  advance(61 * kSecond);
  EXPECT_EQ(hung_.size(), 2u);
}

TEST_F(Crash, OfAHungProcessOnlyTheMessageThatMissedItsDeadlineIsSuspect) {
  begin();
  const auto first = mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  advance(10 * kSecond);
  const auto second = mail_to({"b@example.org"});
  ASSERT_EQ(leases().size(), 1u);
  advance(3595 * kSecond);  // the first one's deadline is over
  advance(30 * kSecond);
  ASSERT_EQ(hung_.size(), 1u);
  die(egress_, true, second);  // whatever it took up last
  EXPECT_EQ(core_->index().message(core_->index().find(first)).kills, 1);
  EXPECT_EQ(core_->index().message(core_->index().find(second)).kills, 0);
}

TEST_F(Crash, TheGraceIsNoLongerThanTheTimeForADelivery) {
  settings_.transports[0].delivery_time_limit = 2 * kSecond;
  begin();
  mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  advance(2 * kSecond);
  EXPECT_EQ(egress_.link->take<wire::CancelLease>().size(), 1u);
  advance(2 * kSecond);
  EXPECT_EQ(hung_.size(), 1u);
}

TEST_F(Crash, OneThatDoesNotSayWhatItHoldsIsKilledAndTheRestGoesOn) {
  begin();
  mail_to({"a@example.com"});
  ASSERT_EQ(leases().size(), 1u);
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  auto hung = attach(wire::RoleKind::Egress, "egress.other", 201);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  advance(31 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(31 * kSecond);
  ASSERT_EQ(hung_, std::vector<wire::Peer>{hung.peer});
  die(hung, true);
  EXPECT_EQ(leases().size(), 1u);
}

// Bounces, checkpoints and segments that are done with wait for what writers fill.
TEST_F(Crash, AWriterThatDoesNotSayWhatItFillsIsKilledAndTheRestGoesOn) {
  begin();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  router_ = attach(wire::RoleKind::Router, "router", 300);
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  say(router_, wire::WriterHello{});
  advance(kSecond);
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  advance(30 * kSecond);
  EXPECT_TRUE(hung_.empty());
  EXPECT_TRUE(notifications().empty());
  advance(31 * kSecond);
  ASSERT_EQ(hung_, std::vector<wire::Peer>{ingress_.peer});
  die(ingress_, true);
  EXPECT_EQ(notifications().size(), 1u);
  advance(61 * kSecond);
  EXPECT_EQ(hung_.size(), 1u);
}

TEST_F(Crash, OneThatHangsOnALeaseOfBeforeARestartIsKilled) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l[0].lease}, {id}});
  advance(3601 * kSecond);
  const auto cancelled = egress_.link->take<wire::CancelLease>();
  ASSERT_EQ(cancelled.size(), 1u);
  EXPECT_EQ(cancelled[0].lease, l[0].lease);
  advance(31 * kSecond);
  EXPECT_EQ(hung_.size(), 1u);
  die(egress_, true);
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  EXPECT_EQ(leases().size(), 1u);
}

// Random lives: whatever dies when, nothing that was committed is lost, and all is delivered in the end.
class Lives : public Bench, public ::testing::WithParamInterface<unsigned> {};

TEST_P(Lives, EveryMessageIsDeliveredAtLeastOnce) {
  std::srand(GetParam());
  const auto pick = [](int n) { return std::rand() % n; };
  settings_.queue.minimal_backoff_time = kSecond;
  settings_.queue.maximal_backoff_time = 2 * kSecond;
  settings_.queue.worker_kill_limit = 0;
  begin();
  std::set<MessageId> all, delivered;
  std::vector<wire::Lease> held;  // in the egress process
  std::vector<wire::Outcomes> unacked;
  std::int32_t pid = 1000;
  const auto collect = [&] {
    for (auto &l : egress_.link->take<wire::Lease>()) held.push_back(std::move(l));
    for (const auto &ack : egress_.link->take<wire::OutcomesAck>())
      for (const auto lease : ack.leases) std::erase_if(unacked, [&](const auto &o) { return o.lease == lease; });
  };
  const auto hello = [&] {
    wire::EgressHello h{"smtp", 100, {}, {}};
    for (const auto &l : held) h.leases.push_back(l.lease), h.messages.push_back(l.id);
    for (const auto &o : unacked) h.leases.push_back(o.lease), h.messages.push_back(o.id);
    say(egress_, h);
    for (const auto &o : unacked) say(egress_, o);
  };
  const auto deliver = [&](bool good) {
    if (held.empty()) return;
    const auto n = static_cast<std::size_t>(pick(static_cast<int>(held.size())));
    const auto l = held[n];
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(n));
    if (good) delivered.insert(l.id);
    unacked.push_back(result(l, good ? DeliveryStatus::Sent : DeliveryStatus::Deferred));
    say(egress_, unacked.back());
    core_->turn();
  };
  for (int step = 0; step < 600; ++step) {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2:
      case 3:
        all.insert(mail_to({"u@d" + std::to_string(pick(4)) + ".example"}));
        break;
      case 4:
      case 5:
      case 6:
        deliver(true);
        break;
      case 7:
        deliver(false);
        break;
      case 8:
        if (pick(6) == 0) {  // the queue dies; half of the time what it journaled last is lost
          if (pick(2)) store_->sync();
          start();
          ingress_.link = std::make_shared<FakeLink>();
          sequence_ = 0;
          ingress_.id = core_->attach(ingress_.peer, ingress_.link);
          router_.link = std::make_shared<FakeLink>();
          router_.id = core_->attach(router_.peer, router_.link);
          egress_.link = std::make_shared<FakeLink>();
          egress_.id = core_->attach(egress_.peer, egress_.link);
          core_->attach_done();
          say(ingress_, wire::WriterHello{{{kSegment, kEpoch}}});
          say(router_, wire::WriterHello{});
          hello();
        }
        break;
      case 9:
        if (pick(6) == 0) {  // the egress dies
          held.clear();
          unacked.clear();
          die(egress_, true);
          egress_ = attach(wire::RoleKind::Egress, "egress.smtp", ++pid);
          hello();
        }
        break;
      default:
        advance(pick(3) * kSecond);
    }
    if (pick(2)) run();
    collect();
  }
  for (int i = 0; i < 5000 && core_->index().size() > 0; ++i) {
    advance(kSecond);
    collect();
    while (!held.empty()) deliver(true);
  }
  EXPECT_EQ(core_->index().size(), 0u);
  for (const auto id : all) EXPECT_TRUE(delivered.contains(id)) << to_string(id);
  EXPECT_EQ(store_->bad_unpins, 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Lives, ::testing::Range(1u, 13u));

}  // namespace
}  // namespace mansio::queue
