// What policies of the queue decide: that the queue does as it is told, keeps it over a restart, and goes on as ever
// where nobody has a say or nobody answers.
#include <gmock/gmock.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::DeliveryStatus;
using wire::QueueStage;

class Policies : public Bench {
 protected:
  Policies() {
    config::Transport other;
    other.name = "other";
    settings_.transports.push_back(other);
    settings_.queue.policies = {"quota"};
  }
  void begin_with(std::uint64_t stages) {
    begin();
    other_ = attach(wire::RoleKind::Egress, "egress.other", 201);
    say(other_, wire::EgressHello{"other", 100, {}, {}});
    say(router_, wire::PolicyStages{stages});
    run();
  }
  void again(std::uint64_t stages) {  // the queue process is gone, and another one comes
    start();
    cast();
    other_ = attach(wire::RoleKind::Egress, "egress.other", 201);
    say(other_, wire::EgressHello{"other", 100, {}, {}});
    say(router_, wire::PolicyStages{stages});
    advance(kSecond);
  }
  std::vector<wire::Lease> other_leases() {
    run();
    return other_.link->take<wire::Lease>();
  }
  std::vector<wire::RouteRequest> route_requests() {
    run();
    return router_.link->take<wire::RouteRequest>();
  }
  wire::RouteReply reply_to(const wire::RouteRequest &request) {
    wire::RouteReply reply;
    reply.request = request.request;
    reply.id = request.id;
    return reply;
  }
  // All go the ways that they have.
  void agree(const wire::RouteRequest &request) {
    auto reply = reply_to(request);
    for (std::size_t i = 0; i < request.recipients.size(); ++i)
      reply.routes.emplace_back(request.recipients[i].first, request.routes.at(i));
    say(router_, reply);
    run();
  }

  FakePeer other_;
};

TEST_F(Policies, NothingIsAskedWhereNobodyHasASay) {
  begin_with(0);
  mail_to({"a@example.com"});
  EXPECT_THAT(route_requests(), IsEmpty());
  EXPECT_THAT(leases(), SizeIs(1));
  settings_.queue.policies.clear();
  begin();
  mail_to({"a@example.com"});
  EXPECT_THAT(route_requests(), IsEmpty());
}

TEST_F(Policies, NewMailIsShownToThemWithTheWayThatItHas) {
  begin_with(wire::bit_of(QueueStage::Route));
  auto e = envelope({"a@example.com", "b@example.org"});
  e.routes[0].nexthop = "[192.0.2.9]:25";
  e.tenant = "blue";
  e.source_pool = "cold";
  e.metadata = {{"x.list", "news"}};
  const auto id = mail(e);
  EXPECT_THAT(leases(), IsEmpty());
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].id, id);
  EXPECT_THAT(requests[0].recipients, SizeIs(2));
  EXPECT_THAT(requests[0].routes, ElementsAre(Route{"smtp", "[192.0.2.9]:25"}, Route{"smtp", "[192.0.2.9]:25"}));
  EXPECT_EQ(requests[0].attempts, 0u);
  EXPECT_EQ(requests[0].facts.tenant, "blue");
  EXPECT_EQ(requests[0].facts.source_pool, "cold");
  EXPECT_EQ(requests[0].facts.size, 1000u);
  EXPECT_EQ(requests[0].facts.arrival, e.arrival);
  EXPECT_EQ(requests[0].facts.metadata.at(0).second, "news");
  const auto before = disk_.journal.size();
  agree(requests[0]);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].nexthop, "[192.0.2.9]:25");
  EXPECT_EQ(l[0].attempts, 0u);
  // What stays as it was is not written down.
  for (auto i = before; i < disk_.journal.size(); ++i) EXPECT_NE(disk_.journal[i][0], 5) << "routes";
  EXPECT_EQ(core_->index().message(core_->index().find(id)).extra, nullptr);
}

TEST_F(Policies, UntilTheRouterHasSaidWhatTheyWantAllIsShown) {
  start();
  cast();
  mail_to({"a@example.com"});
  EXPECT_THAT(route_requests(), SizeIs(1));
}

TEST_F(Policies, AnotherWayAndPoolOutliveARestart) {
  begin_with(wire::bit_of(QueueStage::Route));
  auto e = envelope({"a@example.com", "b@example.com"});
  e.source_pool = "cold";
  const auto id = mail(e);
  auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  auto reply = reply_to(requests[0]);
  reply.routes = {{0, {"other", "[192.0.2.7]:26"}}, {1, {"other", "[192.0.2.7]:26"}}};
  reply.pools = {{1, "warm"}};
  say(router_, reply);
  // They share a way, and not a pool.
  const auto check = [&] {
    const auto l = other_leases();
    ASSERT_THAT(l, SizeIs(2));
    for (const auto &lease : l) {
      EXPECT_EQ(lease.id, id);
      EXPECT_EQ(lease.nexthop, "[192.0.2.7]:26");
      EXPECT_THAT(lease.recipients, SizeIs(1));
      EXPECT_EQ(lease.source_pool, lease.recipients.at(0).recipient == 1 ? "warm" : "cold");
    }
  };
  check();
  again(wire::bit_of(QueueStage::Route));
  EXPECT_THAT(route_requests(), IsEmpty());
  check();
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  EXPECT_EQ(store_->checkpoints, 1);
  again(wire::bit_of(QueueStage::Route));
  check();
  EXPECT_THAT(leases(), IsEmpty());
}

TEST_F(Policies, MailIsAskedAboutAgainIfTheAnswerWasLost) {
  begin_with(wire::bit_of(QueueStage::Route));
  const auto id = mail_to({"a@example.com"});
  EXPECT_THAT(route_requests(), SizeIs(1));
  again(wire::bit_of(QueueStage::Route));
  auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].id, id);
  die(router_);
  router_ = attach(wire::RoleKind::Router, "router", 301);
  say(router_, wire::WriterHello{});
  say(router_, wire::PolicyStages{wire::bit_of(QueueStage::Route)});
  requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  agree(requests[0]);
  EXPECT_THAT(leases(), SizeIs(1));
}

TEST_F(Policies, MailThatWasTriedIsNotShownAsNew) {
  begin_with(wire::bit_of(QueueStage::Route));
  mail_to({"a@example.com"});
  agree(route_requests().at(0));
  report(leases().at(0), DeliveryStatus::Deferred);
  again(wire::bit_of(QueueStage::Route));
  advance(3600 * kSecond);
  EXPECT_THAT(route_requests(), IsEmpty());
  EXPECT_THAT(leases(), SizeIs(1));
}

TEST_F(Policies, ARouteThatIsDeferredIsAskedForAgainWhenThePolicySaid) {
  begin_with(wire::bit_of(QueueStage::Route));
  const auto id = mail_to({"a@example.com"});
  const auto request = route_requests().at(0);
  auto reply = reply_to(request);
  reply.refusals = {{0, {4, 7, 1}, "not at this hour", 36'000 * kSecond, false}};  // longer than any back-off
  say(router_, reply);
  advance(7200 * kSecond);
  EXPECT_THAT(route_requests(), IsEmpty());
  for (const bool checkpoint : {false, true}) {  // nor does a restart forget it
    if (checkpoint) {
      store_->want_checkpoint = true;
      advance(2 * kSecond);
      ASSERT_EQ(store_->checkpoints, 1);
    }
    again(wire::bit_of(QueueStage::Route));
    advance(7200 * kSecond);
    EXPECT_THAT(route_requests(), IsEmpty()) << checkpoint;
  }
  advance(14'400 * kSecond);
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].attempts, 1u);
  agree(requests[0]);
  EXPECT_EQ(leases().at(0).id, id);
}

TEST_F(Policies, ARouteThatIsRefusedIsReturnedToTheSender) {
  begin_with(wire::bit_of(QueueStage::Route));
  mail_to({"a@example.com", "b@example.com"});
  auto reply = reply_to(route_requests().at(0));
  reply.routes = {{0, {"smtp", ""}}};
  reply.refusals = {{1, {5, 7, 1}, "not there", 0, false}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].recipients.at(0).address, "a@example.com");
  EXPECT_THAT(notifications(), IsEmpty());  // the other is under way
  report(l[0], DeliveryStatus::Sent);
  const auto n = notifications();
  ASSERT_THAT(n, SizeIs(1));
  EXPECT_EQ(n[0].recipients.at(0).address, "b@example.com");
  EXPECT_EQ(n[0].recipients.at(0).outcome.text, "not there");
}

TEST_F(Policies, WhatIsDiscardedIsGoneAndNobodyIsTold) {
  begin_with(wire::bit_of(QueueStage::Route));
  auto e = envelope({"a@example.com"});
  e.recipients[0].notify = kNotifySuccess;
  const auto id = mail(e);
  auto reply = reply_to(route_requests().at(0));
  reply.refusals = {{0, {2, 0, 0}, "discarded by policy.quota: not wanted", 0, true}};
  say(router_, reply);
  EXPECT_THAT(notifications(), IsEmpty());
  EXPECT_FALSE(known(id));
  EXPECT_THAT(sink_.text, HasSubstr("discarded by policy.quota: not wanted"));
  EXPECT_THAT(leases(), IsEmpty());
}

TEST_F(Policies, WhatIsHeldGoesItsWayOnceItIsReleased) {
  begin_with(wire::bit_of(QueueStage::Route));
  const auto id = mail_to({"a@example.com"});
  auto reply = reply_to(route_requests().at(0));
  reply.routes = {{0, {"other", ""}}};
  reply.hold = "by policy.quota: too much";
  say(router_, reply);
  EXPECT_THAT(other_leases(), IsEmpty());
  EXPECT_THAT(ask("list", {}, {to_string(id)}).lines, HasSubstr("by policy.quota: too much"));
  EXPECT_EQ(stat("mansio_messages_held_by_policies_total"), 1);
  again(wire::bit_of(QueueStage::Route));
  EXPECT_THAT(other_leases(), IsEmpty());
  ask("release", {}, {to_string(id)});
  EXPECT_THAT(route_requests(), IsEmpty());
  EXPECT_THAT(other_leases(), SizeIs(1));
}

TEST_F(Policies, MailThatIsRequeuedIsRoutedByTheTablesAndThemAnew) {
  begin_with(wire::bit_of(QueueStage::Route));
  const auto id = mail_to({"a@example.com"});
  auto reply = reply_to(route_requests().at(0));
  reply.routes = {{0, {"other", ""}}};
  reply.pools = {{0, "warm"}};
  say(router_, reply);
  say(other_, result(other_leases().at(0), DeliveryStatus::Deferred));
  ask("requeue", {}, {to_string(id)});
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_THAT(requests[0].routes, ElementsAre(Route{}));  // the tables say
  reply = reply_to(requests[0]);
  reply.routes = {{0, {"smtp", ""}}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].source_pool, "");
}

TEST_F(Policies, AnOperatorsPoolIsStronger) {
  begin_with(wire::bit_of(QueueStage::Route));
  const auto id = mail_to({"a@example.com"});
  auto reply = reply_to(route_requests().at(0));
  reply.routes = {{0, {"smtp", ""}}};
  reply.pools = {{0, "warm"}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].source_pool, "warm");
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_EQ(ask("rebind", {{"to_pool", "spare"}}, {to_string(id)}).affected, 1u);
  advance(3600 * kSecond);
  EXPECT_EQ(leases().at(0).source_pool, "spare");
}

TEST_F(Policies, MetadataThatDoesNotFitIsLeftOut) {
  begin_with(wire::bit_of(QueueStage::Route));
  auto e = envelope({"a@example.com"});
  e.tenant = "blue";
  for (int i = 0; i < 20; ++i) e.metadata.emplace_back("x" + std::to_string(i), std::string(4000, 'm'));
  mail(e);
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_THAT(requests[0].facts.metadata, IsEmpty());
  EXPECT_EQ(requests[0].facts.tenant, "blue");
}

class Retries : public Policies {
 protected:
  std::vector<wire::RetryRequest> questions() {
    run();
    return router_.link->take<wire::RetryRequest>();
  }
  void decide(const wire::RetryRequest &question, wire::PolicyAction action, Nanos retry = 0, std::string text = {}) {
    wire::RetryReply reply{question.number, question.id, {}};
    reply.word.action = action;
    reply.word.policy = "policy.quota";
    reply.word.retry = retry;
    reply.word.text = std::move(text);
    say(router_, reply);
    run();
  }
  // A message that was deferred, and what is asked about it.
  wire::RetryRequest deferred(std::vector<std::string> to = {"a@example.com"}) {
    mail_to(std::move(to));
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
    const auto asked = questions();
    EXPECT_THAT(asked, SizeIs(1));
    return asked.empty() ? wire::RetryRequest{} : asked[0];
  }
};

TEST_F(Retries, NobodyIsAskedWhereNobodyHasASay) {
  begin_with(wire::bit_of(QueueStage::Route));
  mail_to({"a@example.com"});
  agree(route_requests().at(0));
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_THAT(questions(), IsEmpty());
}

TEST_F(Retries, TheBackOffStandsUntilSomebodySaysOtherwise) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto asked = deferred({"a@example.com", "b@example.com"});
  EXPECT_EQ(asked.sender, "sender@example.org");
  EXPECT_EQ(asked.route, (Route{"smtp", ""}));
  EXPECT_EQ(asked.attempts, 1u);
  EXPECT_EQ(asked.wait, 300 * kSecond);
  ASSERT_THAT(asked.recipients, SizeIs(2));
  EXPECT_EQ(asked.recipients[1].address, "b@example.com");
  EXPECT_EQ(to_string(asked.recipients[1].enhanced), "4.2.0");
  EXPECT_EQ(asked.recipients[1].text, "450 later");
  advance(301 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
  decide(asked, wire::PolicyAction::Fail);  // too late: it is being tried
  EXPECT_THAT(notifications(), IsEmpty());
}

TEST_F(Retries, AnAttemptIsPutOffForLongerThanAnyBackOffAndOverARestart) {
  begin_with(wire::bit_of(QueueStage::Retry));
  decide(deferred(), wire::PolicyAction::Defer, 36'000 * kSecond);
  advance(18'000 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  again(wire::bit_of(QueueStage::Retry));
  advance(17'000 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  advance(1'100 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
}

TEST_F(Retries, AnAttemptIsBroughtForwardOnceTheDiskKnows) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto asked = deferred();
  wire::RetryReply reply{asked.number, asked.id, {}};
  reply.word.action = wire::PolicyAction::Defer;
  reply.word.retry = 1;  // a second at least
  say(router_, reply);
  clock_.advance(2 * kSecond);
  core_->turn();
  EXPECT_THAT(egress_.link->take<wire::Lease>(), IsEmpty());
  EXPECT_THAT(leases(), SizeIs(1));  // that syncs
}

TEST_F(Retries, NoAttemptIsPutOffBeyondTheEndOfALife) {
  settings_.queue.maximal_queue_lifetime = 7200 * kSecond;
  begin_with(wire::bit_of(QueueStage::Retry));
  decide(deferred(), wire::PolicyAction::Defer, 700'000 * kSecond);
  advance(7201 * kSecond);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_THAT(notifications(), SizeIs(1));  // it has expired
}

TEST_F(Retries, MailThatIsGivenUpIsReturnedToItsSender) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto asked = deferred();
  decide(asked, wire::PolicyAction::Fail, 0, "not worth it");
  const auto n = notifications();
  ASSERT_THAT(n, SizeIs(1));
  EXPECT_EQ(n[0].kind, wire::DsnKind::Failure);
  EXPECT_EQ(n[0].recipients.at(0).outcome.text, "not worth it (450 later)");
  EXPECT_THAT(sink_.text, HasSubstr("not worth it (450 later)"));
  say(router_, wire::DsnWritten{n[0].parent, MessageId{77}, false, ""});
  EXPECT_FALSE(known(asked.id));
}

TEST_F(Retries, WhoMayHaveItAlreadyIsNotGivenUp) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  auto o = result(l[0], DeliveryStatus::Deferred);
  o.outcomes[1].status = DeliveryStatus::Uncertain;
  say(egress_, o);
  decide(questions().at(0), wire::PolicyAction::Fail);
  const auto n = notifications();
  ASSERT_THAT(n, SizeIs(1));
  EXPECT_THAT(n[0].recipients, SizeIs(1));
  EXPECT_EQ(n[0].recipients[0].address, "a@example.com");
  EXPECT_TRUE(known(id));
}

TEST_F(Retries, MailIsHeld) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto asked = deferred();
  decide(asked, wire::PolicyAction::Hold, 0, "look at it");
  advance(7200 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_THAT(ask("list", {}, {to_string(asked.id)}).lines, HasSubstr("by policy.quota: look at it"));
}

TEST_F(Retries, WhatARouterThatDiesWasAskedItsSuccessorIs) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto asked = deferred();
  die(router_);
  router_ = attach(wire::RoleKind::Router, "router", 301);
  say(router_, wire::WriterHello{});
  say(router_, wire::PolicyStages{wire::bit_of(QueueStage::Retry)});
  const auto more = questions();
  ASSERT_THAT(more, SizeIs(1));
  EXPECT_EQ(more[0].id, asked.id);
  decide(asked, wire::PolicyAction::Hold);  // nobody's word any more
  EXPECT_EQ(stat("mansio_messages_held_by_policies_total"), 0);
  decide(more[0], wire::PolicyAction::Hold);
  EXPECT_EQ(stat("mansio_messages_held_by_policies_total"), 1);
}

TEST_F(Retries, ALateAnswerAboutMailThatIsGoneOrElsewhereChangesNothing) {
  begin_with(wire::bit_of(QueueStage::Retry));
  const auto gone = deferred();
  ask("delete", {}, {to_string(gone.id)});
  decide(gone, wire::PolicyAction::Hold);
  const auto held = deferred();
  ask("hold", {}, {to_string(held.id)});
  decide(held, wire::PolicyAction::Fail);
  EXPECT_THAT(notifications(), IsEmpty());
  EXPECT_TRUE(known(held.id));
  EXPECT_FALSE(known(gone.id));
}

TEST_F(Retries, OnlySoManyAreAskedAtOnceAndTheOthersWait) {
  begin_with(wire::bit_of(QueueStage::Retry));
  for (int i = 0; i < 250; ++i) mail_to({"a@d" + std::to_string(i) + ".example"});
  for (int round = 0; round < 10; ++round)
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  auto asked = questions();
  EXPECT_THAT(asked, SizeIs(200));
  for (const auto &q : asked) say(router_, wire::RetryReply{q.number, q.id, {}});
  EXPECT_THAT(questions(), SizeIs(50));
}

class Bounces : public Policies {
 protected:
  wire::DsnRequest bounced() {
    auto e = envelope({"a@example.com"});
    e.tenant = "blue";
    mail(e);
    report(leases().at(0), DeliveryStatus::Bounced);
    const auto asked = notifications();
    EXPECT_THAT(asked, SizeIs(1));
    return asked.empty() ? wire::DsnRequest{} : asked[0];
  }
};

TEST_F(Bounces, FactsGoWithTheRequestWhereSomebodyHasASay) {
  begin_with(wire::bit_of(QueueStage::Bounce));
  EXPECT_EQ(bounced().facts.tenant, "blue");
  say(router_, wire::PolicyStages{0});
  EXPECT_EQ(bounced().facts.tenant, "");
}

TEST_F(Bounces, OneThatIsSuppressedIsNeverWritten) {
  begin_with(wire::bit_of(QueueStage::Bounce));
  const auto asked = bounced();
  say(router_, wire::DsnWritten{asked.parent, {}, false, "", true, false});
  run();
  EXPECT_FALSE(known(asked.parent.id));
  EXPECT_EQ(stat("mansio_notifications_suppressed_total"), 1);
  EXPECT_EQ(stat("mansio_notifications_total"), 0);
  EXPECT_EQ(store_->bad_unpins, 0);
  again(wire::bit_of(QueueStage::Bounce));
  EXPECT_THAT(notifications(), IsEmpty());
}

TEST_F(Bounces, ADecisionThatTheJournalDoesNotHaveIsAskedForAgain) {
  begin_with(wire::bit_of(QueueStage::Bounce));
  const auto asked = bounced();
  say(router_, wire::DsnWritten{asked.parent, {}, false, "", true, false});
  again(wire::bit_of(QueueStage::Bounce));  // before it was synced
  const auto more = notifications();
  ASSERT_THAT(more, SizeIs(1));
  EXPECT_EQ(more[0].parent, asked.parent);
}

TEST_F(Bounces, OneThatWaitsForAPolicyIsWrittenInTheEnd) {
  settings_.queue.bounce_queue_lifetime = 3600 * kSecond;
  begin_with(wire::bit_of(QueueStage::Bounce));
  auto asked = bounced();
  EXPECT_FALSE(asked.unasked);
  bool without = false;
  for (int minutes = 0; minutes < 70 && !without; ++minutes) {
    say(router_, wire::DsnWritten{asked.parent, {}, false, "deferred by policy.quota", false, true});
    advance(61 * kSecond);
    const auto more = notifications();
    ASSERT_THAT(more, SizeIs(1)) << minutes;
    without = more[0].unasked;
    EXPECT_TRUE(!without || minutes >= 57) << minutes;
  }
  EXPECT_TRUE(without);
  EXPECT_THAT(sink_.text, ::testing::Not(HasSubstr("undeliverable notification dropped")));
  say(router_, wire::DsnWritten{asked.parent, MessageId{77}, false, ""});
  EXPECT_FALSE(known(asked.parent.id));
}

class BeforeDelivery : public Policies {
 protected:
  static wire::Outcomes turned_away(const wire::Lease &l, wire::PolicyAction action) {
    wire::Outcomes o;
    o.lease = l.lease;
    o.id = l.id;
    o.done = o.no_feedback = true;
    auto &word = o.word.emplace_back();
    word.action = action;
    word.policy = "policy.quota";
    return o;
  }
  // Before the lease, all of it deferred.
  static wire::Outcomes not_before(const wire::Lease &l, Nanos retry) {
    auto o = turned_away(l, wire::PolicyAction::Defer);
    o.word[0].retry = retry;
    for (std::uint32_t i = 0; i < l.recipients.size(); ++i) {
      wire::RecipientOutcome deferred;
      deferred.index = i;
      deferred.enhanced = {4, 7, 1};
      deferred.text = "quiet hours";
      o.recipients.push_back(l.recipients[i].recipient);
      o.outcomes.push_back(deferred);
    }
    return o;
  }
  static wire::Outcomes another_way(const wire::Lease &l, Route to, std::string pool = {}) {
    auto o = turned_away(l, wire::PolicyAction::Route);
    o.word[0].route = std::move(to);
    o.word[0].source_pool = std::move(pool);
    return o;
  }
};

TEST_F(BeforeDelivery, FactsGoWithALeaseWhereSomebodyHasASay) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  auto e = envelope({"a@example.com"});
  e.tenant = "blue";
  mail(e);
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  ASSERT_THAT(l[0].facts, SizeIs(1));
  EXPECT_EQ(l[0].facts[0].tenant, "blue");
  say(router_, wire::PolicyStages{0});
  mail_to({"b@example.com"});
  l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_THAT(l[0].facts, IsEmpty());
}

TEST_F(BeforeDelivery, ADeliveryIsPutOffToTheTimeThatThePolicySaid) {
  begin_with(wire::bit_of(QueueStage::PreDelivery) | wire::bit_of(QueueStage::Retry));
  mail_to({"a@example.com"});
  say(egress_, not_before(leases().at(0), 36'000 * kSecond));
  EXPECT_THAT(router_.link->take<wire::RetryRequest>(), IsEmpty());  // there was no attempt
  advance(35'000 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  again(wire::bit_of(QueueStage::PreDelivery));
  EXPECT_THAT(leases(), IsEmpty());
  advance(1'000 * kSecond);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].attempts, 1u);
  EXPECT_FALSE(l[0].possible_duplicate);
}

TEST_F(BeforeDelivery, WhatIsHeldIsNotAskedAboutAgainOnceItIsReleased) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  const auto id = mail_to({"a@example.com"});
  say(egress_, turned_away(leases().at(0), wire::PolicyAction::Hold));
  run();
  EXPECT_THAT(egress_.link->take<wire::OutcomesAck>(), SizeIs(1));
  EXPECT_THAT(ask("list", {}, {to_string(id)}).lines, HasSubstr("by policy.quota"));
  ask("release", {}, {to_string(id)});
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_THAT(l[0].facts, IsEmpty());
  report(l[0], DeliveryStatus::Deferred);
  for (const bool checkpoint : {false, true}) {
    if (checkpoint) {
      store_->want_checkpoint = true;
      advance(2 * kSecond);
      ASSERT_EQ(store_->checkpoints, 1);
    }
    again(wire::bit_of(QueueStage::PreDelivery));
    advance(7200 * kSecond);
    l = leases();
    ASSERT_THAT(l, SizeIs(1));
    EXPECT_THAT(l[0].facts, IsEmpty()) << checkpoint;
    report(l[0], DeliveryStatus::Deferred);
  }
  ask("requeue", {}, {to_string(id)});  // as new
  auto reply = reply_to(route_requests().at(0));
  reply.routes = {{0, {"smtp", ""}}};
  say(router_, reply);
  EXPECT_THAT(leases().at(0).facts, SizeIs(1));
}

TEST_F(BeforeDelivery, MailGoesAnotherWayAtOnceAndOverARestart) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  const auto id = mail_to({"a@example.com", "b@example.com"});
  const auto first = leases();
  ASSERT_THAT(first, SizeIs(1));
  say(egress_, another_way(first[0], {"other", "[192.0.2.7]:26"}, "warm"));
  for (const bool restarted : {false, true}) {
    if (restarted) again(wire::bit_of(QueueStage::PreDelivery));
    const auto l = other_leases();
    ASSERT_THAT(l, SizeIs(1)) << restarted;
    EXPECT_EQ(l[0].id, id);
    EXPECT_EQ(l[0].nexthop, "[192.0.2.7]:26");
    EXPECT_EQ(l[0].source_pool, "warm");
    EXPECT_EQ(l[0].attempts, 0u);
    EXPECT_THAT(l[0].recipients, SizeIs(2));
    EXPECT_THAT(leases(), IsEmpty());
  }
}

TEST_F(BeforeDelivery, APoolAloneIsAnotherWayToo) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  mail_to({"a@example.com"});
  say(egress_, another_way(leases().at(0), {}, "warm"));
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].source_pool, "warm");
}

TEST_F(BeforeDelivery, MailThatIsSentRoundInCirclesWaits) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  mail_to({"a@example.com"});
  auto l = leases();
  int turns = 0;
  for (; !l.empty() && turns < 20; ++turns) {
    const bool here = turns % 2 == 0;
    say(here ? egress_ : other_, another_way(l[0], {here ? "other" : "smtp", ""}));
    l = here ? other_leases() : leases();
  }
  EXPECT_EQ(turns, 6);
  EXPECT_THAT(sink_.text, HasSubstr("round in circles"));
  advance(7200 * kSecond);
  EXPECT_EQ(leases().size() + other_leases().size(), 1u);
}

TEST_F(BeforeDelivery, WhatAnEarlierLifeWasToldIsDone) {
  begin_with(wire::bit_of(QueueStage::PreDelivery));
  const auto held = mail_to({"a@example.com"}), late = mail_to({"b@example.org"});
  auto l = leases();
  ASSERT_THAT(l, SizeIs(2));
  if (l[0].id != held) std::swap(l[0], l[1]);
  start();
  cast({l[0].lease, l[1].lease}, {held, late});
  say(router_, wire::PolicyStages{wire::bit_of(QueueStage::PreDelivery)});
  advance(kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  say(egress_, turned_away(l[0], wire::PolicyAction::Hold));
  say(egress_, not_before(l[1], 36'000 * kSecond));
  advance(20'000 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_THAT(ask("list", {}, {to_string(held)}).lines, HasSubstr("by policy.quota"));
  advance(17'000 * kSecond);
  const auto requests = route_requests();  // as it came up before the router had said what they want
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].id, late);
  EXPECT_EQ(requests[0].attempts, 1u);
  agree(requests[0]);
  const auto again = leases();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].id, late);
}

}  // namespace
}  // namespace mansio::queue
