// Sites through the queue core: whose exchangers are asked for and when, that no mail waits for the answer, and what it
// changes.
#include <gmock/gmock.h>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;
using wire::DeliveryStatus;

constexpr const char *kTheirHosts = "mx1.p.example,mx2.p.example";

class QueueSites : public Bench {
 protected:
  QueueSites() { smtp().destination_key = config::DestinationKey::Site; }
  config::Transport &smtp() { return settings_.transports.front(); }
  std::vector<std::string> asked() {
    run();
    std::vector<std::string> all;
    for (auto &request : router_.link->take<wire::MxRequest>())
      all.insert(all.end(), request.domains.begin(), request.domains.end());
    return all;
  }
  void told(const std::string &domain, const std::string &exchangers, Nanos ttl = 3600 * kSecond) {
    say(router_, wire::MxReply{domain, exchangers, ttl});
    run();
  }
  // What it says, without an error.
  std::string ask(const std::string &verb, Match match, std::vector<std::string> ids = {}) {
    const auto all = Bench::ask(verb, std::move(match), std::move(ids));
    EXPECT_EQ(all.error, "");
    return all.lines;
  }
  std::string why(MessageId id) { return ask("why", {}, {to_string(id)}); }
};

TEST_F(QueueSites, MailGoesBeforeItsExchangersAreKnown) {
  begin();
  mail_to({"a@One.example", "b@two.example", "c@[192.0.2.1]"});
  EXPECT_EQ(leases().size(), 3u);
  EXPECT_THAT(asked(), UnorderedElementsAre("one.example", "two.example"));
  mail_to({"a@one.example"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(asked(), IsEmpty());  // the question is under way
}

TEST_F(QueueSites, NobodyIsAskedWhereLimitsDoNotGoByThem) {
  smtp().destination_key = config::DestinationKey::Nexthop;
  begin();
  mail_to({"a@one.example"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(asked(), IsEmpty());
}

TEST_F(QueueSites, DomainsOfOneSiteShareItsLimit) {
  begin();
  told("one.example", kTheirHosts);  // of a domain that is not known: for nobody
  for (int i = 0; i < 2; ++i) mail_to({"a@one.example", "b@two.example"});
  told("one.example", kTheirHosts);
  told("two.example", kTheirHosts);
  EXPECT_EQ(leases().size(), 4u);
  const auto three = mail_to({"a@one.example", "b@two.example"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(why(three), HasSubstr("\"why\":\"destination_concurrency_limit\",\"detail\":\"mx:" +
                                    std::string{kTheirHosts} + ": 5 at once now\""));
  EXPECT_THAT(why(three), HasSubstr("\"site\":\"mx:" + std::string{kTheirHosts} + "\""));
  const auto part = ask("why", {{"destination", "two.example"}});
  EXPECT_THAT(part, HasSubstr("\"site\":\"mx:"));
  const auto whole = ask("why", {{"destination", "mx:" + std::string{kTheirHosts}}});
  EXPECT_THAT(whole, HasSubstr("\"members\":2,\"deliveries\":5,\"concurrency\":5,\"ready\":1,\"groups\":6"));
  EXPECT_THAT(ask("list", {{"destination", "mx:" + std::string{kTheirHosts}}}), HasSubstr(to_string(three)));
  EXPECT_THAT(ask("qshape", {{"by", "destination"}}), HasSubstr("mx:" + std::string{kTheirHosts}));
}

TEST_F(QueueSites, WhatHadNoAnswerIsAskedAgainWhenItsMailGoes) {
  begin();
  const auto id = mail_to({"a@one.example"});
  EXPECT_THAT(asked(), ElementsAre("one.example"));
  report(leases().at(0), DeliveryStatus::Deferred);
  advance(299 * kSecond);
  EXPECT_THAT(asked(), IsEmpty());
  advance(2 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(asked(), ElementsAre("one.example"));
  EXPECT_TRUE(known(id));
}

TEST_F(QueueSites, ARouterThatComesLaterIsAsked) {
  begin();
  die(router_);
  mail_to({"a@one.example"});
  EXPECT_EQ(leases().size(), 1u);
  router_ = attach(wire::RoleKind::Router, "router", 301);
  say(router_, wire::WriterHello{});
  EXPECT_THAT(asked(), ElementsAre("one.example"));
}

TEST_F(QueueSites, WhatARouterIsTooFarBehindToTakeIsKept) {
  begin();
  router_.link->full = true;
  mail_to({"a@one.example", "a@two.example"});
  run();
  router_.link->full = false;
  advance(2 * kSecond);
  EXPECT_THAT(asked(), UnorderedElementsAre("one.example", "two.example"));
}

TEST_F(QueueSites, ADomainWhoseExchangersChangeMovesOnceTheAnswerIsOld) {
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a@one.example", "b@two.example"});
  told("one.example", kTheirHosts, kSecond);  // but no more often than in five minutes
  told("two.example", kTheirHosts);
  auto l = leases();
  EXPECT_EQ(l.size(), 10u);
  EXPECT_THAT(asked(), UnorderedElementsAre("one.example", "two.example"));
  advance(200 * kSecond);
  mail_to({"c@one.example"});
  EXPECT_THAT(asked(), IsEmpty());
  advance(101 * kSecond);
  mail_to({"c@one.example"});
  EXPECT_THAT(asked(), ElementsAre("one.example"));
  EXPECT_TRUE(leases().empty());  // there are ten at the site, more than it takes
  told("one.example", "mx.elsewhere.example");
  EXPECT_THAT(ask("why", {{"destination", "one.example"}}), HasSubstr("mx.elsewhere.example"));
  for (const auto &one : l)
    if (one.recipients.at(0).address.ends_with("@one.example")) report(one, DeliveryStatus::Sent);
  l = leases();
  ASSERT_THAT(l, Not(IsEmpty()));
  for (const auto &one : l) EXPECT_THAT(one.recipients.at(0).address, ::testing::EndsWith("@one.example"));
}

TEST_F(QueueSites, AReplyOfOneDomainSuspendsTheSite) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.destination = {"one.example", "two.example"};
  rule.threshold = 2;
  settings_.responses.push_back(rule);
  begin();
  mail_to({"a@one.example", "b@two.example"});
  told("one.example", kTheirHosts);
  told("two.example", kTheirHosts);
  for (const auto &l : leases()) {
    auto o = result(l, DeliveryStatus::Deferred);
    for (auto &r : o.outcomes) r.smtp_code = 421, r.text = "too many connections";
    say(egress_, o);
  }
  const auto id = mail_to({"c@one.example"});
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(why(id), HasSubstr("destination mx:" + std::string{kTheirHosts} + " is suspended"));
  ask("resume", {{"destination", "mx:" + std::string{kTheirHosts}}});
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(QueueSites, WhyADomainIsDeadAloneIsNotForgottenForTheOthersSake) {
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@one.example", "b@two.example"});
  told("one.example", kTheirHosts);
  told("two.example", kTheirHosts);
  for (const auto &l : leases()) {
    const bool fails = l.recipients.at(0).address == "a@one.example";
    auto o = result(l, fails ? DeliveryStatus::Deferred : DeliveryStatus::Sent, fails);
    if (fails) o.reason = "connection refused";
    say(egress_, o);
  }
  mail_to({"b@two.example"});
  EXPECT_EQ(leases().size(), 1u);
  mail_to({"c@one.example"});
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(sink_.text, HasSubstr("delivery temporarily suspended: connection refused"));
}

TEST_F(QueueSites, OnlyTheRouterIsBelieved) {
  begin();
  mail_to({"a@one.example"});
  say(ingress_, wire::MxReply{"one.example", kTheirHosts, 3600 * kSecond});
  EXPECT_THAT(ask("why", {{"destination", "one.example"}}), Not(HasSubstr("\"site\"")));
  told("one.example", kTheirHosts);
  EXPECT_THAT(ask("why", {{"destination", "one.example"}}), HasSubstr("\"site\""));
}

TEST_F(QueueSites, AReloadThatBeginsToGoByThemAsksForWhatWaits) {
  smtp().destination_key = config::DestinationKey::Nexthop;
  begin();
  mail_to({"a@one.example"});
  report(leases().at(0), DeliveryStatus::Deferred);
  auto changed = settings_;
  changed.transports.front().destination_key = config::DestinationKey::Site;
  core_->reload(changed);
  advance(301 * kSecond);
  EXPECT_THAT(asked(), ElementsAre("one.example"));
  core_->reload(settings_);
}

}  // namespace
}  // namespace mansio::queue
