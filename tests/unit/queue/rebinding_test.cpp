// Operators' orders about where mail goes: what they move, what they leave alone, and what of them outlives a restart.
#include <gmock/gmock.h>

#include <limits>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::DeliveryStatus;

class Rebinding : public Bench {
 protected:
  Rebinding() {
    config::Transport other;
    other.name = "other";
    settings_.transports.push_back(other);
  }
  void begin_both() {
    begin();
    other_ = attach(wire::RoleKind::Egress, "egress.other", 201);
    say(other_, wire::EgressHello{"other", 100, {}, {}});
    run();
  }
  std::vector<wire::Lease> other_leases() {
    run();
    return other_.link->take<wire::Lease>();
  }
  std::vector<wire::RouteRequest> route_requests() {
    run();
    return router_.link->take<wire::RouteRequest>();
  }
  // The router's answer to the one request that waits for it.
  void route(MessageId id, const Route &to) {
    const auto requests = route_requests();
    ASSERT_THAT(requests, SizeIs(1));
    wire::RouteReply reply;
    reply.request = requests[0].request;
    reply.id = id;
    if (to.transport.empty())
      reply.refusals = {{0, {4, 3, 5}, "no route now"}};
    else
      reply.routes = {{0, to}};
    say(router_, reply);
    run();
  }
  static std::vector<std::string> addresses(const wire::Lease &lease) {
    std::vector<std::string> out;
    for (const auto &r : lease.recipients) out.push_back(r.address);
    return out;
  }
  void defer_all() {
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  }

  FakePeer other_;
};

TEST_F(Rebinding, MailGoesByAnotherTransportAndNextHopAtOnce) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  const auto arrival = core_->index().message(core_->index().find(id)).arrival;
  advance(10 * kSecond);
  EXPECT_EQ(ask("rebind", {{"to_transport", "other"}, {"to_nexthop", "[192.0.2.9]:25"}}, {to_string(id)}).affected, 1u);
  const auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, id);
  EXPECT_EQ(l[0].nexthop, "[192.0.2.9]:25");
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_EQ(core_->index().message(core_->index().find(id)).arrival, arrival);
  say(other_, result(l[0], DeliveryStatus::Sent));
  run();
  EXPECT_FALSE(known(id));
}

TEST_F(Rebinding, OutlivesARestart) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("rebind", {{"to_transport", "other"}, {"to_pool", "warm"}}, {to_string(id)});
  auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].source_pool, "warm");
  say(other_, result(l[0], DeliveryStatus::Deferred));
  run();
  begin_both();
  advance(400 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].nexthop, "");
  EXPECT_EQ(l[0].source_pool, "warm");
  EXPECT_THAT(ask("show", {}, {to_string(id)}).lines, HasSubstr("\"source_pool\":\"warm\""));
}

TEST_F(Rebinding, OutlivesACheckpoint) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("rebind", {{"to_nexthop", "relay.example.net"}, {"to_pool", "warm"}}, {to_string(id)});
  report(leases().at(0), DeliveryStatus::Deferred);
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  ASSERT_EQ(store_->checkpoints, 1);
  begin_both();
  advance(400 * kSecond);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].nexthop, "relay.example.net");
  EXPECT_EQ(l[0].source_pool, "warm");
}

// As a version that does not know about pools has it with ours.
TEST_F(Rebinding, AnEntryOfALaterVersionIsPassedOver) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  auto later = entry::pool(id, "warm");
  later[0] = 0x7f;  // its kind
  disk_.journal.push_back(later);
  begin_both();
  EXPECT_TRUE(known(id));
  EXPECT_THAT(sink_.text, HasSubstr("journal entries that could not be read"));
  advance(400 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
}

TEST_F(Rebinding, ANextHopAloneLeavesTheTransport) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("rebind", {{"to_nexthop", "relay.example.net"}}, {to_string(id)});
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].nexthop, "relay.example.net");
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_EQ(ask("rebind", {{"to_nexthop", "relay.example.net"}}, {to_string(id)}).affected,
            0u);  // it does so already
}

TEST_F(Rebinding, OnlyTheRecipientsThatAreMeantMove) {
  begin_both();
  const auto id = mail_to({"a@example.com", "b@example.org", "c@example.com"});
  defer_all();
  EXPECT_EQ(ask("rebind", {{"destination", "example.org"}, {"to_transport", "other"}}).affected, 1u);
  auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_THAT(addresses(l[0]), ElementsAre("b@example.org"));
  EXPECT_THAT(leases(), IsEmpty());  // the others wait as before
  ask("rebind", {{"recipient", "c@example.com"}, {"to_transport", "other"}});
  l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_THAT(addresses(l[0]), ElementsAre("c@example.com"));
  advance(400 * kSecond);
  l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, id);
  EXPECT_THAT(addresses(l[0]), ElementsAre("a@example.com"));
}

TEST_F(Rebinding, ChoosesByTenantCampaignAndSender) {
  begin_both();
  auto e = envelope({"a@example.com"}, "news@example.org");
  e.tenant = "acme";
  e.campaign = "spring";
  const auto id = mail(e);
  mail_to({"b@example.com"});
  defer_all();
  for (const auto &[key, value] : Match{{"tenant", "acme"}, {"campaign", "spring"}, {"sender", "news@example.org"}}) {
    EXPECT_EQ(ask("rebind", {{key, value}, {"to_pool", "pool-of-" + value}}).affected, 1u) << key;
    EXPECT_THAT(ask("show", {}, {to_string(id)}).lines, HasSubstr("\"source_pool\":\"pool-of-" + value + "\""));
  }
  EXPECT_EQ(ask("rebind", {{"tenant", "others"}, {"to_pool", "x"}}).affected, 0u);
}

// What an order names its mail by.
class OrdersByName : public Rebinding, public ::testing::WithParamInterface<std::pair<std::string, std::string>> {
 protected:
  // One that is meant, and another.
  void begin_with_two() {
    begin_both();
    auto e = envelope({"a@example.com"}, "news@example.org"), other = envelope({"b@example.net"}, "me@other.example");
    e.tenant = "acme";
    e.campaign = "spring";
    other.tenant = "zenith";
    other.campaign = "autumn";
    meant_ = mail(e);
    other_mail_ = mail(other);
    defer_all();
  }
  MessageId meant_, other_mail_;
};

TEST_P(OrdersByName, RebindMovesItsMailOnly) {
  begin_with_two();
  EXPECT_EQ(ask("rebind", {GetParam(), {"to_transport", "other"}}).affected, 1u);
  const auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, meant_);
  EXPECT_THAT(leases(), IsEmpty());
}

TEST_P(OrdersByName, RerouteAsksForItsMailOnly) {
  begin_with_two();
  EXPECT_EQ(ask("reroute", {GetParam()}).affected, 1u);
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].id, meant_);
}

TEST_P(OrdersByName, SuspendKeepsItsMailOnlyAndResumeLetsItGo) {
  begin_with_two();
  const auto &[key, value] = GetParam();
  EXPECT_EQ(ask("suspend", {{key, value}, {"reason", "a look"}}).affected, 1u);
  advance(301 * kSecond);
  auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, other_mail_);
  EXPECT_THAT(ask("why", {}, {to_string(meant_)}).lines,
              HasSubstr("\"why\":\"suspended\",\"detail\":\"" + key + " " + value + " is suspended: a look\""));
  EXPECT_EQ(ask("resume", {{key, value}}).affected, 1u);
  l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, meant_);
}

INSTANTIATE_TEST_SUITE_P(Each, OrdersByName,
                         ::testing::Values(std::pair{"destination", "example.com"}, std::pair{"tenant", "acme"},
                                           std::pair{"campaign", "spring"}, std::pair{"sender", "news@example.org"},
                                           std::pair{"sender", "@example.org"}),
                         [](const auto &of) {
                           return of.param.first + (of.param.second.starts_with('@') ? "Domain" : "");
                         });

TEST_F(Rebinding, ASendersDomainIsNotTheEndOfAnother) {
  begin_both();
  mail(envelope({"a@example.com"}, "me@sub.example.org"));
  mail(envelope({"a@example.com"}, "me@notexample.org"));
  mail(envelope({"a@example.com"}, ""));
  defer_all();
  EXPECT_EQ(ask("rebind", {{"sender", "@example.org"}, {"to_pool", "x"}}).affected, 0u);
  EXPECT_EQ(ask("rebind", {{"sender", ".EXAMPLE.org"}, {"to_pool", "x"}}).affected, 1u);
  EXPECT_EQ(ask("rebind", {{"sender", "<>"}, {"to_pool", "x"}}).affected, 1u);
}

TEST_F(Rebinding, WhatIsBeingDeliveredIsLeftAlone) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(ask("rebind", {{"to_transport", "other"}}, {to_string(id)}).affected, 0u);
  EXPECT_EQ(ask("reroute", {}, {to_string(id)}).affected, 0u);
  report(l[0], DeliveryStatus::Deferred);
  advance(400 * kSecond);
  EXPECT_THAT(leases(), SizeIs(1));
  EXPECT_THAT(other_leases(), IsEmpty());
}

TEST_F(Rebinding, WhatIsHeldStaysHeldAndGoesTheNewWayOnceReleased) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("hold", {}, {to_string(id)});
  EXPECT_EQ(ask("rebind", {{"to_transport", "other"}}, {to_string(id)}).affected, 1u);
  advance(400 * kSecond);
  EXPECT_THAT(other_leases(), IsEmpty());
  ask("release", {}, {to_string(id)});
  EXPECT_THAT(other_leases(), SizeIs(1));
}

// The order may be the first that is said of it since it came.
TEST_F(Rebinding, WhatCameToBeHeldIsHeldAfterARestart) {
  begin_both();
  auto e = envelope({"a@example.com"});
  e.hold_until = std::numeric_limits<Nanos>::max();
  const std::vector<std::pair<std::string, Match>> orders{
      {"rebind", {{"to_pool", "warm"}}}, {"rebind", {{"to_transport", "other"}}}, {"reroute", {}}};
  std::vector<MessageId> ids;
  for (const auto &[verb, match] : orders) {
    ids.push_back(mail(e));
    EXPECT_EQ(ask(verb, match, {to_string(ids.back())}).affected, 1u) << verb;
  }
  begin_both();
  advance(400 * kSecond);
  EXPECT_THAT(leases(), IsEmpty());
  EXPECT_THAT(other_leases(), IsEmpty());
  EXPECT_THAT(route_requests(), IsEmpty());
  EXPECT_EQ(stat("mansio_queue_messages{state=\"hold\"}"), 3);
  EXPECT_THAT(ask("show", {}, {to_string(ids[0])}).lines, HasSubstr("held on arrival"));
  ask("release", {}, {to_string(ids[0])});
  EXPECT_THAT(leases(), SizeIs(1));
  ask("release", {}, {to_string(ids[1])});
  EXPECT_THAT(other_leases(), SizeIs(1));
  // What was released is so from then on, though its envelope will always say that it came to be held.
  begin_both();
  EXPECT_EQ(stat("mansio_queue_messages{state=\"hold\"}"), 1);
}

// Whatever of the order is on the disk: what goes at once goes the new way.
TEST_F(Rebinding, ACrashInBetweenSendsNothingTheOldWay) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  const auto before = disk_.journal.size();
  ask("rebind", {{"to_transport", "other"}, {"to_pool", "warm"}}, {to_string(id)});
  const auto after = disk_;
  ASSERT_GT(after.journal.size(), before);
  for (auto kept = before; kept <= after.journal.size(); ++kept) {
    disk_ = after;
    disk_.journal.resize(kept);
    begin_both();
    EXPECT_THAT(leases(), IsEmpty()) << kept - before << " entries";
  }
  advance(kSecond);
  EXPECT_THAT(other_leases(), SizeIs(1));
}

TEST_F(Rebinding, WhatWasTriedCountsAsTriedAnyOtherWay) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("rebind", {{"to_transport", "other"}}, {to_string(id)});
  const auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_THAT(ask("show", {}, {to_string(id)}).lines, HasSubstr("\"transport\":\"other\",\"attempts\":1"));
  say(other_, result(l[0], DeliveryStatus::Deferred));
  run();
  ask("reroute", {}, {to_string(id)});
  route(id, {"smtp", ""});
  EXPECT_THAT(ask("show", {}, {to_string(id)}).lines, HasSubstr("\"transport\":\"smtp\",\"attempts\":2"));
}

TEST_F(Rebinding, HelpsMailThatTheRouterHasNoWayFor) {
  begin_both();
  auto e = envelope({"a@example.com"});
  e.routes = {{"gone", "x"}};
  const auto id = mail(e);
  route(id, {});
  EXPECT_EQ(ask("rebind", {{"to_nexthop", "relay.example.net"}}, {to_string(id)}).affected, 0u);  // by what?
  EXPECT_EQ(ask("rebind", {{"to_transport", "other"}}, {to_string(id)}).affected, 1u);
  const auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].id, id);
  EXPECT_EQ(l[0].nexthop, "");
}

// The way that it had before is one that can be named, too.
TEST_F(Rebinding, SendsMailBackToATransportThatWasGone) {
  begin_both();
  auto e = envelope({"a@example.com"});
  e.routes = {{"other", ""}};
  const auto id = mail(e);
  const auto first = other_leases();
  ASSERT_THAT(first, SizeIs(1));
  say(other_, result(first[0], DeliveryStatus::Deferred));
  run();
  auto next = attach(wire::RoleKind::Egress, "egress.smtp", 211, 2);
  say(next, wire::EgressHello{"smtp", 100, {}, {}});
  die(egress_, false);
  die(other_, false);
  advance(2 * kSecond);
  route(id, {});
  other_ = attach(wire::RoleKind::Egress, "egress.other", 212, 2);
  say(other_, wire::EgressHello{"other", 100, {}, {}});
  EXPECT_EQ(ask("rebind", {{"to_transport", "other"}}, {to_string(id)}).affected, 1u);
  EXPECT_THAT(other_leases(), SizeIs(1));
}

TEST_F(Rebinding, RerouteAsksTheRouterAndKeepsTheTimeStamp) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  const auto arrival = core_->index().message(core_->index().find(id)).arrival;
  advance(100 * kSecond);
  EXPECT_EQ(ask("reroute", {}, {to_string(id)}).affected, 1u);
  EXPECT_EQ(ask("reroute", {}, {to_string(id)}).affected, 0u);  // asked already
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.routes = {{0, Route{"other", "[192.0.2.9]:25"}}};
  say(router_, reply);
  const auto l = other_leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].nexthop, "[192.0.2.9]:25");
  EXPECT_EQ(core_->index().message(core_->index().find(id)).arrival, arrival);
}

TEST_F(Rebinding, ARerouteThatIsNotAnsweredYetIsAskedAgainAfterARestart) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("reroute", {}, {to_string(id)});
  EXPECT_THAT(route_requests(), SizeIs(1));
  begin_both();
  advance(kSecond);
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  EXPECT_EQ(requests[0].id, id);
}

TEST_F(Rebinding, RequeueForgetsThePool) {
  begin_both();
  const auto id = mail_to({"a@example.com"});
  defer_all();
  ask("rebind", {{"to_pool", "warm"}}, {to_string(id)});
  ask("suspend", {{"source_pool", "warm"}});  // which routing does not wait for
  ask("requeue", {}, {to_string(id)});
  const auto requests = route_requests();
  ASSERT_THAT(requests, SizeIs(1));
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.routes = {{0, Route{"smtp", ""}}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_THAT(l, SizeIs(1));
  EXPECT_EQ(l[0].source_pool, "");
}

TEST_F(Rebinding, SaysWhatIsWrongWithAnOrder) {
  begin_both();
  EXPECT_THAT(ask("rebind", {{"tenant", "x"}}).error, HasSubstr("where to?"));
  EXPECT_THAT(ask("rebind", {{"to_transport", "other"}}).error, HasSubstr("which messages?"));
  EXPECT_THAT(ask("rebind", {{"tenant", "x"}, {"to_transport", "nowhere"}}).error,
              HasSubstr("there is no [transport.nowhere]"));
  EXPECT_THAT(ask("rebind", {{"tenant", "x"}, {"to_nexthop", "no good"}}).error, HasSubstr("not a next hop"));
  EXPECT_THAT(ask("rebind", {{"tenant", "x"}, {"to_moon", "y"}}).error, HasSubstr("does not understand"));
  EXPECT_THAT(ask("reroute", {{"tenant", "x"}, {"to_transport", "other"}}).error, HasSubstr("cannot match by"));
}

}  // namespace
}  // namespace mansio::queue
