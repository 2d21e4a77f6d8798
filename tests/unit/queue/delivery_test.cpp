// From lease to outcome in the queue core: grouping, retries, expiry, clock steps, and the delivery line of each
// recipient.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;

using Delivery = Bench;

TEST_F(Delivery, LeasesFreshMailWithoutReadingItsEnvelopeBack) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, id);
  EXPECT_EQ(l[0].recipients[0].address, "a@example.com");
  EXPECT_EQ(l[0].slices[0].segment, kSegment);
  EXPECT_EQ(store_->envelope_reads, 0);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
  EXPECT_TRUE(store_->retired.contains(id));
  EXPECT_NE(sink_.text.find("\"status\":\"sent\""), std::string::npos);
}

TEST_F(Delivery, ALeaseHasThePriorityAmongItsMetadata) {
  begin();
  auto e = envelope({"a@example.com"});
  e.metadata.emplace_back("priority", "urgent");  // no plugin's word passes for it
  e.metadata.emplace_back("x", "y");
  mail(e);
  e.priority = static_cast<std::uint8_t>(-4);
  mail(e);
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  EXPECT_EQ(l[0].metadata, (std::vector<std::pair<std::string, std::string>>{{"x", "y"}}));
  EXPECT_EQ(l[1].metadata, (std::vector<std::pair<std::string, std::string>>{{"priority", "-4"}, {"x", "y"}}));
}

TEST_F(Delivery, ABodyIsVerifiedWhenItIsFirstReadBack) {
  begin();
  const auto whole = mail_to({"a@example.com"}), bad = mail_to({"b@example.net"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  EXPECT_EQ(store_->bodies_read, 0);  // they have just been written
  store_->rotten.insert(bad);
  advance(400 * kSecond);
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, whole);
  EXPECT_EQ(stat("mansio_queue_messages{state=\"corrupt\"}"), 1);
  report(l[0], DeliveryStatus::Deferred);
  advance(4000 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_EQ(store_->bodies_read, 2);  // once each
}

TEST_F(Delivery, ALargeBodyIsVerifiedElsewhereWhileItsMessageWaits) {
  begin();
  const auto send = [&] {
    const auto e = envelope({"a@example.com", "b@example.net"});
    auto at = commit(e);
    at.body.length = disk_.commits.back().first.body.length = 1 << 20;
    say(ingress_, wire::Notice{++sequence_, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
    return at.id;
  };
  const auto whole = send(), bad = send();
  store_->rotten.insert(bad);
  advance(400 * kSecond);
  EXPECT_TRUE(leases().empty());
  ASSERT_EQ(store_->reading.size(), 2u);  // not for each of their groups
  for (const auto &read : std::exchange(store_->reading, {})) read();
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  for (const auto &lease : l) EXPECT_EQ(lease.id, whole);
  EXPECT_EQ(stat("mansio_queue_messages{state=\"corrupt\"}"), 1);
  EXPECT_EQ(store_->reading.size(), 0u);
}

TEST_F(Delivery, GroupsRecipientsByDestinationUpToTheLimit) {
  begin();
  mail_to({"a@example.com", "b@Example.COM", "c@example.com", "d@example.org"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 3u);
  std::size_t recipients = 0;
  for (const auto &lease : l) {
    EXPECT_LE(lease.recipients.size(), 2u);
    recipients += lease.recipients.size();
  }
  EXPECT_EQ(recipients, 4u);
}

TEST_F(Delivery, WaitsAsLongAsANextHopAsksAndNoLongerThanTheBackOff) {
  begin();
  const auto defer = [&](Nanos asked) {
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u);
    auto o = result(l[0], DeliveryStatus::Deferred);
    o.outcomes[0].retry_ns = asked;
    say(egress_, o);
    run();
  };
  mail_to({"a@example.com"});
  defer(1000 * kSecond);  // minimal_backoff_time: 300 s
  advance(999 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(2 * kSecond);
  defer(365 * 86'400 * kSecond);
  advance(3999 * kSecond);  // maximal_backoff_time: 4000 s
  EXPECT_TRUE(leases().empty());
  advance(2 * kSecond);
  defer(kSecond);
  advance(1001 * kSecond);  // the back-off is longer
  EXPECT_TRUE(leases().empty());
}

TEST_F(Delivery, WhatANextHopAskedForHoldsAfterARestart) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.outcomes[0].retry_ns = 2000 * kSecond;
  say(egress_, o);
  run();
  begin();
  advance(1000 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(1001 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Delivery, AcknowledgesOutcomesOnlyOnceTheyAreSynced) {
  begin();
  mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  say(egress_, result(l[0], DeliveryStatus::Sent));
  core_->turn();
  EXPECT_TRUE(egress_.link->take<wire::OutcomesAck>().empty());
  store_->sync();
  core_->synced();
  const auto acks = egress_.link->take<wire::OutcomesAck>();
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0].leases, std::vector<std::uint64_t>{l[0].lease});
}

TEST_F(Delivery, SendsADescriptorOnceAndForgetsItWhenIdle) {
  begin();
  mail_to({"a@example.com"});
  mail_to({"b@example.org"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  EXPECT_EQ(egress_.link->take<wire::SegmentFd>().size(), 1u);
  for (const auto &lease : l) report(lease, DeliveryStatus::Sent);
  advance(kSecond);
  EXPECT_TRUE(egress_.link->take<wire::ForgetSegment>().empty());
  advance(5 * kSecond);
  EXPECT_EQ(egress_.link->take<wire::ForgetSegment>().size(), 1u);
  EXPECT_EQ(store_->bad_unpins, 0);
  EXPECT_EQ((store_->pins[{kSegment, kEpoch}]), 1);  // the writer's
}

TEST_F(Delivery, SendsADescriptorAgainThatDidNotArrive) {
  begin();
  mail_to({"a@example.com"});
  const auto first = leases();
  ASSERT_EQ(first.size(), 1u);
  const auto sent = egress_.link->take<wire::SegmentFd>();
  ASSERT_EQ(sent.size(), 1u);
  say(egress_, wire::ForgetSegment{sent[0].segment, sent[0].epoch});
  mail_to({"b@example.org"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_EQ(egress_.link->take<wire::SegmentFd>().size(), 1u);
  report(first[0], DeliveryStatus::Deferred);
  EXPECT_EQ(store_->bad_unpins, 0);
}

TEST_F(Delivery, RetriesADeferredRecipientAfterTheBackoff) {
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].attempts, 0u);
  auto o = result(l[0], DeliveryStatus::Sent);
  o.outcomes[1] = outcome(1, DeliveryStatus::Deferred, {4, 2, 0}, "450 busy");
  say(egress_, o);
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(known(id));
  advance(299 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(2 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  ASSERT_EQ(l[0].recipients.size(), 1u);
  EXPECT_EQ(l[0].recipients[0].address, "b@example.com");
  EXPECT_EQ(l[0].attempts, 1u);
}

TEST_F(Delivery, ARecipientWithoutAReportIsDeferred) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  wire::Outcomes o;
  o.lease = l.at(0).lease;
  o.id = id;
  o.done = true;
  say(egress_, o);
  run();
  EXPECT_TRUE(known(id));
  EXPECT_NE(sink_.text.find("\"status\":\"deferred\""), std::string::npos);
}

TEST_F(Delivery, AnUncertainOutcomeIsRetriedAsAPossibleDuplicate) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Uncertain);
  advance(301 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_TRUE(l[0].possible_duplicate);
  EXPECT_EQ(stat("mansio_possible_duplicates_total"), 1);
}

TEST_F(Delivery, AnUncertainOutcomeExpiresNothing) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Uncertain);
  EXPECT_TRUE(notifications().empty());
  ASSERT_TRUE(known(id));
  EXPECT_TRUE(leases().empty());  // it has its back-off all the same
  advance(301 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_TRUE(l[0].possible_duplicate);
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Delivery, ASecondUncertainOutcomeInItsPlaceExpires) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Uncertain);
  advance(301 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  report(l[0], DeliveryStatus::Uncertain);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Delivery, WhatIsUncertainForOneRecipientIsNoneOfAnothersAttempts) {
  settings_.queue.maximal_queue_lifetime = 200 * kSecond;
  begin();
  const auto id = mail_to({"a@example.com", "b@example.org"});
  const auto is_b = [](const wire::Lease &l) { return l.recipients.at(0).address == "b@example.org"; };
  auto l = leases();
  ASSERT_EQ(l.size(), 2u);
  for (const auto &lease : l) report(lease, is_b(lease) ? DeliveryStatus::Deferred : DeliveryStatus::Uncertain);
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 2u);
  for (const auto &lease : l) report(lease, is_b(lease) ? DeliveryStatus::Uncertain : DeliveryStatus::Sent);
  EXPECT_TRUE(notifications().empty());
  ASSERT_TRUE(known(id));
  advance(400 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  report(l[0], DeliveryStatus::Uncertain);  // the second
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Delivery, AnUncertainOutcomeAfterAFailureIsAFirstOneAgain) {
  settings_.queue.maximal_queue_lifetime = 500 * kSecond;
  begin();
  const auto id = mail_to({"a@example.com"});
  for (const auto status : {DeliveryStatus::Uncertain, DeliveryStatus::Deferred, DeliveryStatus::Uncertain}) {
    const auto l = leases();
    ASSERT_EQ(l.size(), 1u);
    report(l[0], status);
    EXPECT_TRUE(notifications().empty());
    ASSERT_TRUE(known(id));
    advance(351 * kSecond);
  }
}

TEST_F(Delivery, OfOneDeliveryThoseWhoFailedForCertainExpireAndTheOthersStay) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.done = false;  // in two parts
  o.outcomes = {outcome(0, DeliveryStatus::Uncertain, {4, 4, 2}, "lost connection")};
  say(egress_, o);
  o.done = true;
  o.outcomes = {outcome(1, DeliveryStatus::Deferred, {4, 2, 0}, "450 later")};
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
}

TEST_F(Delivery, IgnoresOutcomesThatMakeNoSense) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  auto o = result(l.at(0), DeliveryStatus::Sent);
  o.done = false;
  o.outcomes[0].index = 77;
  say(egress_, o);
  o.lease += 1000;
  o.id = MessageId{12345};
  o.recipients = {99};
  o.done = true;
  say(egress_, o);
  o.id = id;
  say(egress_, o);
  run();
  EXPECT_TRUE(known(id));
  std::vector<io::UniqueFd> fds;
  io::Message garbage{wire::Outcomes::kType, "\x01\x02", fds};
  core_->receive(egress_.id, garbage);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(Delivery, ADeadDestinationDefersWhatWaitsWithoutAConnection) {
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a" + std::to_string(i) + "@dead.example"});
  auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  for (std::size_t i = 0; i < 3; ++i) {
    auto o = result(l[i], DeliveryStatus::Deferred, true);
    o.reason = "connection refused";
    say(egress_, o);
  }
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(sink_.text.find("delivery temporarily suspended: connection refused"), std::string::npos);
}

// Else mail that expires while its destination is left alone is returned with another reason than it waited for.
TEST_F(Delivery, WhatIsSuspendedKeepsTheStatusOfTheFailure) {
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a" + std::to_string(i) + "@dead.example"});
  for (const auto &lease : leases()) {
    auto o = result(lease, DeliveryStatus::Deferred, true);
    o.reason = "AUTH was refused";
    o.outcomes.front().enhanced = {4, 7, 8};
    say(egress_, o);
  }
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(sink_.text.find("\"dsn\":\"4.7.8\",\"status\":\"deferred\","
                            "\"text\":\"delivery temporarily suspended: AUTH was refused\""),
            std::string::npos)
      << sink_.text;
}

TEST_F(Delivery, ADeadDestinationDoesNotHoldUpOthers) {
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a" + std::to_string(i) + "@dead.example"});
  for (const auto &l : leases()) say(egress_, result(l, DeliveryStatus::Deferred, true));
  const auto id = mail_to({"b@alive.example"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, id);
}

TEST_F(Delivery, ExpiresOnlyAfterAFailedAttempt) {
  settings_.queue.maximal_queue_lifetime = 1000 * kSecond;
  begin();
  core_->draining(egress_.peer);  // nobody delivers for a while
  const auto id = mail_to({"a@example.com"});
  advance(5000 * kSecond);
  EXPECT_TRUE(known(id));
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
  say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].kind, wire::DsnKind::Failure);
  EXPECT_EQ(n[0].to, "sender@example.org");
}

TEST_F(Delivery, EachRecipientThatExpiresHasItsOwnLine) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com", "b@example.com", "c@example.org"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  const auto lines = [&](const std::string &part) {
    std::size_t n = 0;
    for (std::size_t at = 0; (at = sink_.text.find(part, at)) != std::string::npos; ++at) ++n;
    return n;
  };
  EXPECT_EQ(lines("\"status\":\"expired\",\"text\":\"delivery time expired: 450 later\""), 3u) << sink_.text;
  EXPECT_EQ(lines("\"event\":\"expired\""), 1u) << sink_.text;
}

TEST_F(Delivery, OfMailThatExpiresPrintsWhatPostfixDoes) {
  settings_.log.format = config::LogFormat::Postfix;
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  const auto id = to_string(mail_to({"a@example.com", "b@example.com"}));
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto end = sink_.text.find("mx mansio/qmgr[" + std::to_string(::getpid()) + "]: " + id +
                                   ": from=<sender@example.org>, status=expired, returned to sender\n");
  ASSERT_NE(end, std::string::npos) << sink_.text;
  for (const std::string who : {"a", "b"})  // the lines of the last attempt, before it
    EXPECT_LT(sink_.text.find("mx mansio/smtp[200]: " + id + ": to=<" + who +
                              "@example.com>, relay=mx.example.com[192.0.2.25]:25, delay=0, delays=0/0/0/0, dsn=4.2.0, "
                              "status=deferred (450 later)\n"),
              end)
        << sink_.text;
  EXPECT_EQ(sink_.text.find("status=expired ("), std::string::npos) << sink_.text;
}

TEST_F(Delivery, SaysOfMailThatAnOperatorExpiresThatItWasForced) {
  for (const auto format : {config::LogFormat::Postfix, config::LogFormat::Json}) {
    disk_ = {};
    settings_.log.format = format;
    begin();
    const auto id = to_string(mail_to({"a@example.com"}));
    report(leases().at(0), DeliveryStatus::Deferred);
    ask("expire", {}, {id});
    EXPECT_NE(sink_.text.find(format == config::LogFormat::Postfix
                                  ? id + ": from=<sender@example.org>, status=force-expired, returned to sender\n"
                                  : "\"qid\":\"" + id + "\",\"from\":\"sender@example.org\",\"forced\":true}"),
              std::string::npos)
        << sink_.text;
    EXPECT_EQ(sink_.text.find("status=expired"), std::string::npos) << sink_.text;
  }
}

TEST_F(Delivery, AClockStepExpiresNothing) {
  settings_.queue.maximal_queue_lifetime = 1000 * kSecond;
  begin();
  const auto id = mail_to({"a@example.com"});
  advance(kSecond);
  clock_.step_wall(100'000 * kSecond);
  advance(kSecond);
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_TRUE(notifications().empty());
  EXPECT_TRUE(known(id));
}

// Mail taken while the clock was years behind, as after a boot, is tried after another start.
TEST_F(Delivery, AClockStepExpiresNothingAfterAnotherStartEither) {
  settings_.queue.maximal_queue_lifetime = 1000 * kSecond;
  for (const bool checkpoint : {false, true}) {
    disk_ = {};
    core_.reset();
    begin();
    const auto id = mail_to({"a@example.com"});
    ASSERT_EQ(leases().size(), 1u);
    clock_.step_wall(100'000 * kSecond);
    advance(kSecond);
    for (int starts = 0; starts < 2; ++starts) {
      store_->want_checkpoint = checkpoint;
      advance(2 * kSecond);
      ASSERT_EQ(store_->checkpoints, checkpoint ? 1 : 0);
      begin();
      advance(kSecond);
    }
    report(leases().at(0), DeliveryStatus::Deferred);
    EXPECT_TRUE(notifications().empty()) << checkpoint;
    EXPECT_TRUE(known(id)) << checkpoint;
  }
}

TEST_F(Delivery, LifetimeZeroMeansOneTry) {
  settings_.queue.maximal_queue_lifetime = 0;
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(Delivery, ABounceHasALifetimeOfItsOwn) {
  constexpr Nanos kFiveDays = 5 * 86'400 * kSecond;
  settings_.queue.notify_classes = {};
  for (const bool zero : {true, false}) {
    disk_ = {};
    settings_.queue.bounce_queue_lifetime = zero ? 0 : kFiveDays;
    settings_.queue.maximal_queue_lifetime = zero ? kFiveDays : 0;
    begin();
    const auto id = mail(envelope({"a@example.com"}, ""));
    report(leases().at(0), DeliveryStatus::Deferred);
    EXPECT_EQ(known(id), !zero);
    advance(301 * kSecond);
    EXPECT_EQ(leases().size(), zero ? 0u : 1u);
  }
}

TEST_F(Delivery, RoutesAgainWhenTheTransportDoesNotExist) {
  begin();
  auto e = envelope({"a@example.com"});
  e.routes = {{"gone", "x"}};
  const auto id = mail(e);
  auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.routes = {{0, {"smtp", "[relay]:25"}}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].nexthop, "[relay]:25");
}

// At a reload an old process may end before the new one of its transport has spoken.
TEST_F(Delivery, ATransportWhoseNewProcessHasYetToSpeakIsNotGone) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  auto other = attach(wire::RoleKind::Egress, "egress.other", 210, 2);
  auto next = attach(wire::RoleKind::Egress, "egress.smtp", 211, 2);
  say(other, wire::EgressHello{"other", 100, {}, {}});
  die(egress_, false);
  advance(2 * kSecond);
  EXPECT_TRUE(router_.link->take<wire::RouteRequest>().empty());
  say(next, wire::EgressHello{"smtp", 100, {}, {}});
  advance(2 * kSecond);
  EXPECT_TRUE(router_.link->take<wire::RouteRequest>().empty());
}

TEST_F(Delivery, ARouteErrorBounces) {
  begin();
  auto e = envelope({"a@example.com"});
  e.routes = {};
  const auto id = mail(e);
  const auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.refusals = {{0, {5, 1, 1}, "no such user"}};
  say(router_, reply);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].outcome.text, "no such user");
}

TEST_F(Delivery, ALeaseSaysHowItsClientHasAuthenticated) {
  begin();
  auto e = envelope({"a@example.com"});
  e.auth_method = "PLAIN";
  e.auth_user = "alice";
  e.auth_sender = "alice@example.org";
  mail(e);
  const auto l = leases().at(0);
  EXPECT_EQ(l.auth_method, "PLAIN");
  EXPECT_EQ(l.auth_user, "alice");
  EXPECT_EQ(l.auth_sender, "alice@example.org");
}

TEST_F(Delivery, PrintsPostfixsLine) {
  settings_.log.format = config::LogFormat::Postfix;
  settings_.log.syslog_name = "postfix";
  begin();
  auto e = envelope({"a@example.com"});
  e.recipients[0].original = "alias@example.net";
  const auto id = to_string(mail(e));
  auto o = result(leases().at(0), DeliveryStatus::Sent);
  o.outcomes[0].connect_ns = 12 * kMillisecond;
  o.outcomes[0].transmit_ns = 1234 * kMillisecond;
  o.outcomes[0].connection_use = 3;
  say(egress_, o);
  run();
  EXPECT_NE(sink_.text.find("mx postfix/smtp[200]: " + id +
                            ": to=<a@example.com>, orig_to=<alias@example.net>, relay=mx.example.com[192.0.2.25]:25, "
                            "conn_use=3, delay=0, delays=0/0/0.01/1.2, dsn=2.0.0, status=sent (250 ok)\n"),
            std::string::npos)
      << sink_.text;
  EXPECT_NE(sink_.text.find(id + ": from=<sender@example.org>, size=1000, nrcpt=1 (queue active)\n"),
            std::string::npos);
  EXPECT_NE(sink_.text.find(id + ": removed\n"), std::string::npos);
}

TEST(FormatDelay, HasTwoSignificantDigits) {
  EXPECT_EQ(format_delay(0), "0");
  EXPECT_EQ(format_delay(4 * kMillisecond), "0");
  EXPECT_EQ(format_delay(50 * kMillisecond), "0.05");
  EXPECT_EQ(format_delay(1234 * kMillisecond), "1.2");
  EXPECT_EQ(format_delay(12 * kSecond), "12");
  EXPECT_EQ(format_delay(340 * kSecond), "340");
}

TEST_F(Delivery, AnyNumberOfAcknowledgementsAtOnceArrives) {
  constexpr std::uint64_t kLeases = 10'000;
  begin();
  for (std::uint64_t i = 1; i <= kLeases; ++i) {  // of leases that are over: presented again
    wire::Outcomes o;
    o.lease = i;
    o.done = true;
    say(egress_, o);
  }
  egress_.link->full = true;
  run();
  egress_.link->full = false;
  advance(kSecond);
  std::size_t acknowledged = 0;
  for (const auto &ack : egress_.link->take<wire::OutcomesAck>()) {
    EXPECT_LE(encode(ack).size(), io::kMaxMessage);
    acknowledged += ack.leases.size();
  }
  EXPECT_EQ(acknowledged, kLeases);
}

}  // namespace
}  // namespace mansio::queue
