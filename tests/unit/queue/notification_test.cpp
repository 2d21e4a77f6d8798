// When the queue asks for a notification, to whom, and that each is written once whatever dies in between.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;
using wire::DsnKind;

class Notification : public Bench {
 protected:
  // A message that bounced, and its notification, which its router has written and of which the queue has not heard.
  struct Unheard {
    MessageId message;
    decltype(wire::DsnRequest::parent) parent;
    spool::Committed at;
  };
  Unheard unheard_notification() {
    begin();
    const auto message = mail_to({"a@example.com"});
    report(leases().at(0), DeliveryStatus::Bounced);
    const auto n = notifications();
    EXPECT_EQ(n.size(), 1u);
    auto dsn = envelope({"sender@example.org"}, "");
    dsn.dsn_parent = n.at(0).parent;
    return {message, n.at(0).parent, commit(dsn)};
  }
};

TEST_F(Notification, OneForAllThatFailedAndTheMessageStaysUntilItIsWritten) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.org"});
  auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  report(l[0], DeliveryStatus::Bounced);
  EXPECT_TRUE(notifications().empty());
  report(l[1], DeliveryStatus::Bounced);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::Failure);
  EXPECT_EQ(n[0].to, "sender@example.org");
  EXPECT_EQ(n[0].recipients.size(), 2u);
  EXPECT_EQ(n[0].parent.id, id);
  EXPECT_TRUE(known(id));
  say(router_, wire::DsnWritten{n[0].parent, MessageId{77}, false, ""});
  EXPECT_FALSE(known(id));
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Notification, HasThePriorityOfItsMessage) {
  begin();
  auto e = envelope({"a@example.com"});
  e.priority = 5;
  mail(e);
  report(leases().at(0), DeliveryStatus::Bounced);
  EXPECT_EQ(notifications().at(0).priority, 5);
}

TEST_F(Notification, DoesNotWaitForRecipientsThatAreDeferred) {
  begin();
  mail_to({"a@example.com", "b@example.org"});
  auto l = leases();
  report(l.at(0), DeliveryStatus::Bounced);
  report(l.at(1), DeliveryStatus::Deferred);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Notification, DoesNotWaitForLongForRecipientsWhoseTransportNobodyRuns) {
  config::Transport other;
  other.name = "other";
  settings_.transports.push_back(other);
  begin();
  auto e = envelope({"a@example.com", "b@example.org"});
  e.routes.push_back({"other", ""});
  e.recipients[1].route = 1;
  for (const bool restart : {false, true}) {
    const auto id = mail(e);
    report(leases().at(0), DeliveryStatus::Bounced);
    EXPECT_TRUE(notifications().empty());
    if (restart) begin();
    advance(settings_.queue.minimal_backoff_time + 2 * kSecond);
    const auto n = notifications();
    ASSERT_EQ(n.size(), 1u);
    ASSERT_EQ(n[0].recipients.size(), 1u);
    EXPECT_EQ(n[0].recipients[0].address, "a@example.com");
    say(router_, wire::DsnWritten{n[0].parent, MessageId{77}, false, ""});
    EXPECT_TRUE(known(id));
  }
}

TEST_F(Notification, NeverIsRespected) {
  begin();
  auto e = envelope({"a@example.com"});
  e.recipients[0].notify = kNotifyNever;
  const auto id = mail(e);
  report(leases().at(0), DeliveryStatus::Bounced);
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
}

TEST_F(Notification, AFailureIsToldOfNobodyWhoAskedForOthersOnly) {
  begin();
  for (const std::uint8_t notify : {kNotifySuccess, kNotifyDelay}) {
    auto e = envelope({"a@example.com"});
    e.recipients[0].notify = notify;
    const auto id = mail(e);
    report(leases().at(0), DeliveryStatus::Bounced);
    EXPECT_TRUE(notifications().empty()) << int{notify};
    EXPECT_FALSE(known(id)) << int{notify};
  }
  auto e = envelope({"a@example.com", "b@example.com"});
  e.recipients[0].notify = kNotifySuccess | kNotifyDelay;
  e.recipients[1].notify = kNotifyFailure;
  mail(e);
  report(leases().at(0), DeliveryStatus::Bounced);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  ASSERT_EQ(n[0].recipients.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].address, "b@example.com");
}

TEST_F(Notification, ADelayIsToldOfNobodyWhoAskedForOthersOnly) {
  settings_.queue.delay_warning_time = 400 * kSecond;
  begin();
  const auto late = [&](std::uint8_t notify) {
    auto e = envelope({"a@example.com"});
    e.recipients[0].notify = notify;
    const auto id = mail(e);
    advance(500 * kSecond);
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);  // those before it, too
    EXPECT_TRUE(known(id)) << int{notify};
    return notifications();
  };
  EXPECT_TRUE(late(kNotifyFailure).empty());
  EXPECT_TRUE(late(kNotifySuccess).empty());
  const auto n = late(kNotifyDelay);
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::Delay);
}

TEST_F(Notification, SuccessIsToldUnlessTheNextHopTookTheDuty) {
  begin();
  auto e = envelope({"a@example.com"});
  e.recipients[0].notify = kNotifySuccess;
  mail(e);
  report(leases().at(0), DeliveryStatus::Sent);
  auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::Success);
  const auto second = mail(e);
  auto o = result(leases().at(0), DeliveryStatus::Sent);
  o.outcomes[0].relayed_dsn = true;
  say(egress_, o);
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(second));
}

TEST_F(Notification, AFailedBounceGoesToThePostmasterIfAskedFor) {
  begin();
  mail(envelope({"a@example.com"}, ""));
  report(leases().at(0), DeliveryStatus::Bounced);
  auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::PostmasterCopy);
  EXPECT_EQ(n[0].to, "postmaster@mx.example.net");
}

TEST_F(Notification, AFailedBounceIsDroppedAndLoggedOtherwise) {
  settings_.queue.notify_classes = {};
  begin();
  const auto id = mail(envelope({"a@example.com"}, ""));
  report(leases().at(0), DeliveryStatus::Bounced);
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
  EXPECT_NE(sink_.text.find("undeliverable bounce dropped"), std::string::npos);
}

TEST_F(Notification, AFailedDoubleBounceIsDropped) {
  begin();
  auto e = envelope({"postmaster@mx.example.net"}, "double-bounce@mx.example.net");
  e.client_address.clear();
  const auto id = mail(e);
  report(leases().at(0), DeliveryStatus::Bounced);
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
  EXPECT_EQ(stat("mansio_double_bounces_dropped_total"), 1);
}

TEST_F(Notification, TheClassBounceIsACopyForThePostmasterAndDoubleBouncesToo) {
  settings_.queue.notify_classes = {"bounce"};
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  auto n = notifications();
  ASSERT_EQ(n.size(), 2u);
  EXPECT_EQ(n[0].kind, DsnKind::Failure);
  EXPECT_EQ(n[0].to, "sender@example.org");
  EXPECT_EQ(n[1].kind, DsnKind::PostmasterCopy);
  EXPECT_EQ(n[1].to, "postmaster@mx.example.net");

  mail(envelope({"b@example.com"}, ""));
  report(leases().at(0), DeliveryStatus::Bounced);
  n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::PostmasterCopy);
}

TEST_F(Notification, TheClassDelayIsACopyOfTheWarning) {
  settings_.queue.notify_classes = {"delay"};
  settings_.queue.delay_warning_time = 400 * kSecond;
  begin();
  mail_to({"a@example.com"});
  advance(500 * kSecond);
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 2u);
  EXPECT_EQ(n[0].kind, DsnKind::Delay);
  EXPECT_EQ(n[1].kind, DsnKind::PostmasterDelay);
  EXPECT_EQ(n[1].to, "postmaster@mx.example.net");
}

TEST_F(Notification, TroubleOfOurOwnIsToldOnceAMessageAndOnceAMinute) {
  begin();
  const auto fail = [&](EnhancedStatus status, std::uint16_t smtp_code = 0) {
    for (const auto &l : leases()) {
      auto o = result(l, DeliveryStatus::Deferred);
      for (auto &r : o.outcomes) r.enhanced = status, r.text = "no space left", r.smtp_code = smtp_code;
      say(egress_, o);
    }
    return notifications();
  };
  mail_to({"a@example.com", "b@example.com"});
  auto n = fail({4, 3, 1});
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::PostmasterDelay);
  EXPECT_EQ(n[0].recipients.at(0).outcome.text, "no space left");
  mail_to({"c@example.net"});
  EXPECT_TRUE(fail({4, 3, 1}).empty());
  advance(301 * kSecond);
  mail_to({"d@example.org"});
  EXPECT_EQ(fail({4, 3, 0}).size(), 1u);  // the second message's or the third's, never the first's again

  advance(400 * kSecond);
  mail_to({"e@one.example"});
  EXPECT_TRUE(fail({4, 3, 1}, 452).empty());  // a server's own trouble
  settings_.queue.notify_classes = {"2bounce"};
  core_->reload(settings_);
  advance(400 * kSecond);
  mail_to({"f@two.example"});
  EXPECT_TRUE(fail({4, 3, 1}).empty());
}

TEST_F(Notification, ANoticeThatMeetsTheSameTroubleIsNotToldOf) {
  begin();
  auto e = envelope({"postmaster@mx.example.net"}, "double-bounce@mx.example.net");
  e.client_address.clear();
  mail(e);
  auto o = result(leases().at(0), DeliveryStatus::Deferred);
  o.outcomes[0].enhanced = {4, 3, 1};
  say(egress_, o);
  EXPECT_TRUE(notifications().empty());
}

TEST_F(Notification, WarnsOfADelayOnceEvenOverARestart) {
  settings_.queue.delay_warning_time = 400 * kSecond;
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_TRUE(notifications().empty());
  advance(500 * kSecond);
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::Delay);
  say(router_, wire::DsnWritten{n[0].parent, MessageId{77}, false, ""});
  run();
  begin();
  advance(2000 * kSecond);
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_TRUE(notifications().empty());
}

TEST_F(Notification, TheEndOfADelayIsToldIfWanted) {
  settings_.queue.delay_warning_time = 400 * kSecond;
  const auto told = [&](bool wanted, std::uint8_t notify, const char *relay = "mx.example.com[192.0.2.25]:25") {
    settings_.queue.confirm_delay_cleared = wanted;
    begin();
    advance(60 * kSecond);  // whoever may hold mail of the life before has spoken
    auto e = envelope({"a@example.com"});
    e.recipients[0].notify = notify;
    const auto id = mail(e);
    report(leases().at(0), DeliveryStatus::Deferred);
    advance(500 * kSecond);
    report(leases().at(0), DeliveryStatus::Deferred);
    for (const auto &n : notifications()) {
      EXPECT_EQ(n.kind, DsnKind::Delay);
      say(router_, wire::DsnWritten{n.parent, MessageId{1000 + next_++}, false, ""});
    }
    advance(4000 * kSecond);
    auto o = result(leases().at(0), DeliveryStatus::Sent);
    o.outcomes[0].relay = relay;
    o.outcomes[0].relayed_dsn = true;  // as any next hop with DSN does, which was not asked to say so
    say(egress_, o);
    const auto n = notifications();
    for (const auto &one : n) {
      EXPECT_EQ(one.kind, DsnKind::Success);
      say(router_, wire::DsnWritten{one.parent, MessageId{1000 + next_++}, false, ""});
    }
    run();
    EXPECT_FALSE(known(id));
    return n.size();
  };
  EXPECT_EQ(told(true, 0), 1u);
  EXPECT_EQ(told(true, kNotifyDelay), 1u);
  EXPECT_EQ(told(true, kNotifyFailure), 0u);  // who was not told of the delay either
  EXPECT_EQ(told(true, 0, "none"), 0u);       // discarded
  EXPECT_EQ(told(false, 0), 0u);
}

TEST_F(Notification, IsAskedForAgainAfterARestart) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  begin();
  const auto again = notifications();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].parent, n[0].parent);
  EXPECT_EQ(again[0].recipients[0].outcome.text, "550 no such user");
}

TEST_F(Notification, OneThatExistsIsAdoptedAfterARestart) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  auto dsn = envelope({"sender@example.org"}, "");
  dsn.dsn_parent = n[0].parent;
  commit(dsn);  // the router committed it; then everything stopped
  store_->sync();
  begin();
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
}

TEST_F(Notification, IsAskedOfTheNextRouterWhenOneDies) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  ASSERT_EQ(notifications().size(), 1u);
  die(router_);
  router_ = attach(wire::RoleKind::Router, "router", 301);
  say(router_, wire::WriterHello{});
  EXPECT_EQ(notifications().size(), 1u);
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Notification, IsNotAskedForAgainBeforeItIsKnownWhatADeadRouterWrote) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  say(router_, wire::WriterHello{{{kSegment, kEpoch}}});
  auto dsn = envelope({"sender@example.org"}, "");
  dsn.dsn_parent = n[0].parent;
  commit(dsn);
  auto next = attach(wire::RoleKind::Router, "router", 301, 2);  // of the next generation
  say(next, wire::WriterHello{});
  store_->slow_scans = true;
  core_->closed(router_.id);
  run();
  core_->dead({router_.peer, true, 0});
  run();
  EXPECT_TRUE(next.link->take<wire::DsnRequest>().empty());
  store_->finish_scans();
  run();
  EXPECT_TRUE(next.link->take<wire::DsnRequest>().empty());
  EXPECT_FALSE(known(id));
  EXPECT_EQ(store_->bad_unpins, 0);
}

// After an error of sync the page cache shows what the medium may not have.
TEST_F(Notification, OneThatItsWriterGaveUpDoesNotCountAsWrittenAfterARestart) {
  for (const bool given_up : {false, true}) {
    disk_ = {};
    const auto [id, parent, at] = unheard_notification();
    start();
    router_ = attach(wire::RoleKind::Router, "router", 300);
    core_->attach_done();
    run();
    EXPECT_TRUE(known(id));
    EXPECT_TRUE(notifications().empty());
    wire::WriterHello hello;
    if (given_up) hello.given_up.push_back({kSegment, kEpoch, at.commit.offset});
    say(router_, hello);
    EXPECT_EQ(notifications().size(), given_up ? 1u : 0u);
    EXPECT_EQ(known(id), given_up);
  }
}

// It may be between its write and an error of sync, of which it has yet to speak.
TEST_F(Notification, OneInASegmentThatALivingRouterFillsCountsOnlyWhenNothingCanBeSaidAgainstIt) {
  enum class End { Written, GivenUp, Sealed, Dead };
  for (const auto end : {End::Written, End::GivenUp, End::Sealed, End::Dead}) {
    SCOPED_TRACE(static_cast<int>(end));
    disk_ = {};
    const auto [id, parent, at] = unheard_notification();
    start();
    router_ = attach(wire::RoleKind::Router, "router", 300);
    core_->attach_done();
    say(router_, wire::WriterHello{{{kSegment, kEpoch}}});
    EXPECT_TRUE(known(id));
    EXPECT_EQ(notifications().size(), 1u) << "it knows what it wrote";
    switch (end) {
      case End::Written:
        say(router_, wire::DsnWritten{parent, at.id, false, {}});
        break;
      case End::GivenUp:
        store_->give_up(kSegment, kEpoch, at.commit.offset);
        [[fallthrough]];
      case End::Sealed:
        say(router_, wire::SegmentSealed{kSegment, kEpoch, 0});
        break;
      case End::Dead:
        die(router_);
        router_ = attach(wire::RoleKind::Router, "router", 301);
        say(router_, wire::WriterHello{});
    }
    EXPECT_EQ(known(id), end == End::GivenUp);
    EXPECT_TRUE(notifications().empty());
  }
}

// It would write it once more.
TEST_F(Notification, IsNotAskedOfAnotherRouterWhileTheOneThatWroteItLives) {
  const auto [id, parent, at] = unheard_notification();
  start();
  router_ = attach(wire::RoleKind::Router, "router", 300);
  auto next = attach(wire::RoleKind::Router, "router", 301, 2);  // of the next generation
  core_->attach_done();
  say(router_, wire::WriterHello{{{kSegment, kEpoch}}});
  say(next, wire::WriterHello{});
  run();
  EXPECT_TRUE(next.link->take<wire::DsnRequest>().empty());
  EXPECT_TRUE(known(id));
  die(router_);
  EXPECT_TRUE(next.link->take<wire::DsnRequest>().empty());
  EXPECT_FALSE(known(id));
}

// The spool forgets it then, and whoever is asked after that would write it once more.
TEST_F(Notification, OneThatIsDeliveredBeforeItsRouterAnswersCountsAsWritten) {
  const auto [id, parent, at] = unheard_notification();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  router_ = attach(wire::RoleKind::Router, "router", 300);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  say(router_, wire::WriterHello{{{kSegment, kEpoch}}});
  advance(kSecond);
  ASSERT_EQ(notifications().size(), 1u);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  ASSERT_EQ(l[0].id, at.id);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
  store_->want_checkpoint = true;
  advance(kSecond);
  ASSERT_EQ(store_->checkpoints, 1);
  begin();
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Notification, OneThatWasDeliveredIsForgottenOnlyWhenItIsKnownForGoodThatItWasWritten) {
  const auto [id, parent, at] = unheard_notification();
  disk_.journal.push_back(entry::gone(at.id));
  start();
  router_ = attach(wire::RoleKind::Router, "router", 300);
  core_->attach_done();
  say(router_, wire::WriterHello{{{kSegment, kEpoch}}});
  EXPECT_FALSE(store_->retired.contains(at.id));
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
  EXPECT_TRUE(store_->retired.contains(at.id));
}

TEST_F(Notification, OneThatCannotBeWrittenIsTriedAgainLater) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  const auto n = notifications();
  say(router_, wire::DsnWritten{n.at(0).parent, MessageId{}, false, "disk full"});
  EXPECT_TRUE(notifications().empty());
  advance(61 * kSecond);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Notification, IsNotAskedForBeforeItsIntentIsOnStableStorage) {
  begin();
  mail_to({"a@example.com"});
  say(egress_, result(leases().at(0), DeliveryStatus::Bounced));
  while (core_->turn()) {
  }
  EXPECT_TRUE(router_.link->take<wire::DsnRequest>().empty());
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Notification, OneWhoseRouteRefusesItGoesToThePostmasterOrEnds) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  auto n = notifications();
  say(router_, wire::DsnWritten{n.at(0).parent, MessageId{}, true, "550 nothing goes there"});
  n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, DsnKind::PostmasterCopy);
  EXPECT_EQ(n[0].to, "postmaster@mx.example.net");
  say(router_, wire::DsnWritten{n[0].parent, MessageId{}, true, "550 nor there"});
  EXPECT_TRUE(notifications().empty());
  EXPECT_FALSE(known(id));
  EXPECT_EQ(stat("mansio_double_bounces_dropped_total"), 1);
  begin();
  EXPECT_FALSE(known(id));
}

TEST_F(Notification, OneThatIsRefusedForTheBounceLifetimeEnds) {
  settings_.queue.notify_classes = {};
  settings_.queue.bounce_queue_lifetime = 3600 * kSecond;
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Bounced);
  for (int tries = 0; tries < 100 && known(id); ++tries) {
    for (const auto &n : notifications()) say(router_, wire::DsnWritten{n.parent, MessageId{}, false, "451 later"});
    advance(61 * kSecond);
  }
  EXPECT_FALSE(known(id));
  EXPECT_NE(sink_.text.find("undeliverable notification dropped"), std::string::npos);
}

}  // namespace
}  // namespace mansio::queue
