// What the configuration and operators say about who waits for what, through the queue core: suspensions, why, lists,
// limits, rules on replies.
#include <gmock/gmock.h>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using wire::DeliveryStatus;

class Scheduling : public Bench {
 protected:
  config::Transport &smtp() { return settings_.transports.front(); }
  std::string why(MessageId id) { return ask("why", {}, {to_string(id)}).lines; }
  void again() {  // after a clean stop
    ASSERT_TRUE(core_->stop().ok());
    begin();
  }
  wire::Outcomes refused(const wire::Lease &l, std::uint16_t code, EnhancedStatus enhanced, const std::string &text) {
    auto o = result(l, DeliveryStatus::Deferred);
    for (auto &r : o.outcomes) r.smtp_code = code, r.enhanced = enhanced, r.text = text;
    return o;
  }
};

TEST_F(Scheduling, SuspendedMailWaitsUntilItIsResumedAlsoOverARestart) {
  begin();
  EXPECT_EQ(ask("suspend", {{"destination", "Example.COM"}, {"reason", "they move"}}).affected, 1u);
  const auto id = mail_to({"a@example.com"});
  mail_to({"a@example.net"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(why(id),
              HasSubstr("\"why\":\"suspended\",\"detail\":\"destination example.com is suspended: they move\""));
  EXPECT_THAT(ask("suspensions", {}).lines, HasSubstr("\"key\":\"destination\",\"name\":\"example.com\""));
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines, HasSubstr("\"why\":\"suspended\""));
  again();
  advance(kSecond);
  EXPECT_THAT(why(id), HasSubstr("suspended"));
  EXPECT_EQ(ask("resume", {{"destination", "example.com"}}).affected, 1u);
  EXPECT_EQ(ask("resume", {{"destination", "example.com"}}).affected, 0u);
  const auto l = leases();
  ASSERT_FALSE(l.empty());
  EXPECT_TRUE(std::any_of(l.begin(), l.end(), [&](const auto &lease) { return lease.id == id; }));
}

TEST_F(Scheduling, ASuspensionEndsAfterItsTime) {
  begin();
  ask("suspend", {{"destination", "example.com"}, {"for", "10m"}});
  mail_to({"a@example.com"});
  advance(599 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(2 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Scheduling, SuspendedTimeCountsNeitherForTheLifetimeNorForTheBackOff) {
  settings_.queue.maximal_queue_lifetime = 3600 * kSecond;
  begin();
  ask("suspend", {{"destination", "example.com"}});
  const auto second = mail_to({"b@example.com"});
  advance(7200 * kSecond);
  ask("resume", {{"destination", "example.com"}});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, second);
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_TRUE(known(second));  // not expired
  advance(299 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(2 * kSecond);  // the least back-off, not that of mail that is two hours old
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Scheduling, ASenderIsSuspendedWithWhatWaitsOfItAlready) {
  begin();
  auto mine = envelope({"a@example.com"}, "me@example.org"), other = envelope({"a@example.com"}, "you@example.org");
  const auto a = mail(mine), b = mail(other);
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  EXPECT_EQ(ask("suspend", {{"sender", "me@example.org"}}).affected, 1u);
  advance(301 * kSecond);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, b);
  EXPECT_THAT(why(a), HasSubstr("sender me@example.org is suspended: by root"));
  const auto later = mail(mine);
  EXPECT_TRUE(leases().empty());
  ask("resume", {{"sender", "me@example.org"}});
  EXPECT_EQ(leases().size(), 2u);
  EXPECT_TRUE(known(later));
}

TEST_F(Scheduling, ASenderIsLimitedByAReloadWithWhatWaitsOfItAlready) {
  begin();
  std::vector<MessageId> mine;
  for (int i = 0; i < 3; ++i) mine.push_back(mail(envelope({"a@example.com"}, "me@example.org")));
  for (int i = 0; i < 2; ++i) mail(envelope({"a@example.com"}, "you@example.org"));
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  settings_.rate_limits.push_back({config::RateKey::Sender, {"me@example.org"}, "1/h", 1});
  core_->reload(settings_);
  advance(301 * kSecond);
  const auto l = leases();
  EXPECT_EQ(l.size(), 3u);
  EXPECT_EQ(std::count_if(l.begin(), l.end(), [&](const auto &lease) { return lease.id == mine[0]; }) +
                std::count_if(l.begin(), l.end(), [&](const auto &lease) { return lease.id == mine[1]; }) +
                std::count_if(l.begin(), l.end(), [&](const auto &lease) { return lease.id == mine[2]; }),
            1);
  EXPECT_THAT(why(mine[0]) + why(mine[1]) + why(mine[2]), HasSubstr("sender_rate_limit"));
}

TEST_F(Scheduling, RefusesSuspensionsThatMakeNoSense) {
  begin();
  EXPECT_THAT(ask("suspend", {}).error, HasSubstr("one of destination, tenant, campaign, sender and source_pool"));
  EXPECT_THAT(ask("suspend", {{"destination", "a"}, {"tenant", "b"}}).error, Not(IsEmpty()));
  EXPECT_THAT(ask("suspend", {{"destination", "a"}, {"for", "soon"}}).error, HasSubstr("not a time"));
  EXPECT_THAT(ask("resume", {{"destination", "a"}, {"for", "1h"}}).error, Not(IsEmpty()));
  EXPECT_THAT(ask("why", {}).error, Not(IsEmpty()));
}

TEST_F(Scheduling, SaysWhoElseWaitsAndForWhat) {
  begin();
  MessageId last;
  for (int i = 0; i < 12; ++i) last = mail_to({"a@example.com"});
  EXPECT_EQ(leases().size(), 5u);
  const auto line = why(last);
  EXPECT_THAT(line, HasSubstr("\"why\":\"destination_concurrency_limit\""));
  EXPECT_THAT(line, HasSubstr("\"value\":5,\"others\":6"));
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines,
              HasSubstr("\"deliveries\":5,\"concurrency\":5,\"ready\":7,\"groups\":12"));
}

TEST_F(Scheduling, ADestinationsHealthOutlivesARestart) {
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@dead.example"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred, true);
  again();
  advance(kSecond);
  const auto id = mail_to({"b@dead.example"});
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(why(id), HasSubstr("backoff"));  // deferred without an attempt
}

TEST_F(Scheduling, SingleMailGoesAheadOfAList) {
  begin();
  say(egress_, wire::EgressHello{"smtp", 4, {}, {}});
  std::vector<std::string> many;
  for (int i = 0; i < 60; ++i) many.push_back("u" + std::to_string(i) + "@example.com");
  mail_to(many);  // thirty deliveries of two
  auto under_way = leases();
  ASSERT_EQ(under_way.size(), 4u);
  report(under_way.back(), DeliveryStatus::Sent);
  under_way = leases();
  advance(kSecond);
  const auto single = mail_to({"single@example.com"});
  ASSERT_FALSE(under_way.empty());
  report(under_way.front(), DeliveryStatus::Sent);
  const auto next = leases();
  ASSERT_FALSE(next.empty());
  EXPECT_EQ(next.front().id, single);
}

TEST_F(Scheduling, RecipientsOfADeliveryAreLimitedByDestination) {
  config::DestinationRule rule{{"one.example"}, "", smtp()};
  rule.limits.destination_recipient_limit = 1;
  smtp().destinations.push_back(rule);
  begin();
  mail_to({"a@one.example", "b@one.example", "c@two.example", "d@two.example"});
  EXPECT_EQ(leases().size(), 3u);
}

TEST_F(Scheduling, EachRecipientMayBeADestination) {
  smtp().destination_key = config::DestinationKey::Recipient;
  smtp().initial_destination_concurrency = smtp().destination_concurrency_limit = 2;
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"busy@example.com"});
  mail_to({"idle@example.com"});
  EXPECT_EQ(leases().size(), 3u);
}

TEST_F(Scheduling, NoMoreIsUnderDeliveryThanTheActiveLimitsAllow) {
  settings_.queue.qmgr_message_active_limit = 3;
  begin();
  MessageId last;
  for (int i = 0; i < 6; ++i) last = mail_to({"a@d" + std::to_string(i) + ".example"});
  auto l = leases();
  EXPECT_EQ(l.size(), 3u);
  EXPECT_THAT(why(last), HasSubstr("qmgr_message_active_limit"));
  report(l[0], DeliveryStatus::Sent);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Scheduling, NorThanTheLimitOfRecipients) {
  settings_.queue.qmgr_message_recipient_limit = 3;
  begin();
  for (int i = 0; i < 6; ++i) mail_to({"a@d" + std::to_string(i) + ".example", "b@d" + std::to_string(i) + ".example"});
  EXPECT_EQ(leases().size(), 2u);  // with the second it is reached
}

TEST_F(Scheduling, AReplySuspendsItsDestination) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.pattern = "(?i)too many";
  rule.threshold = 2;
  rule.time = 1000 * kSecond;
  settings_.responses.push_back(rule);
  begin();
  for (int i = 0; i < 3; ++i) mail_to({"a@example.com", "b@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 3u);
  say(egress_, refused(l[0], 421, {4, 7, 0}, "Too many connections"));
  const auto id = mail_to({"c@example.com"});
  EXPECT_EQ(leases().size(), 1u);  // two recipients with the same reply are one event
  say(egress_, refused(l[1], 421, {4, 7, 0}, "Too many connections"));
  const auto held = mail_to({"d@example.com"});
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(why(held), HasSubstr("is suspended: for its reply: Too many connections"));
  advance(1001 * kSecond);
  EXPECT_FALSE(leases().empty());
  EXPECT_TRUE(known(id));
}

TEST_F(Scheduling, WhatWasNeverTriedSaysNothingOfItsDestination) {
  config::ResponseRule rule;
  rule.code = {"451"};
  settings_.responses.push_back(rule);
  smtp().initial_destination_concurrency = 1;
  begin();
  for (int i = 0; i < 3; ++i) mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  auto o = refused(l[0], 451, {4, 3, 0}, "Temporary lookup failure");
  o.no_feedback = true;
  say(egress_, o);
  EXPECT_EQ(leases().size(), 1u);  // one more, and not two; and it is not suspended
  EXPECT_TRUE(known(l[0].id));
}

TEST_F(Scheduling, AReplyMayBounceOrTakeAnotherPool) {
  config::ResponseRule bounce, pool;
  bounce.code = {"4.7.1"};
  bounce.action = config::ResponseAction::Bounce;
  pool.code = {"4.7.2"};
  pool.action = config::ResponseAction::Pool;
  pool.pool = "spare";
  pool.time = 3600 * kSecond;
  settings_.responses = {bounce, pool};
  begin();
  const auto first = mail_to({"a@example.com"});
  say(egress_, refused(leases().at(0), 450, {4, 7, 1}, "never"));
  run();
  EXPECT_EQ(notifications().size(), 1u);
  mail_to({"a@example.com"});
  say(egress_, refused(leases().at(0), 450, {4, 7, 2}, "not from there"));
  advance(301 * kSecond);
  EXPECT_EQ(leases().at(0).source_pool, "spare");
  EXPECT_TRUE(known(first));  // until its notification is written
}

TEST_F(Scheduling, ASourcePoolsRateCountsAllThatLeavesFromIt) {
  settings_.rate_limits.push_back({config::RateKey::SourcePool, {"warm"}, "1/h", 1});
  begin();
  auto e = envelope({"a@one.example"});
  e.source_pool = "warm";
  mail(e);
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].source_pool, "warm");
  report(l[0], DeliveryStatus::Sent);
  const auto named = mail(e), moved = mail_to({"b@two.example"});
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, moved);
  EXPECT_THAT(why(named), HasSubstr("\"why\":\"source_pool_rate_limit\",\"detail\":\"warm: "));
  report(l[0], DeliveryStatus::Deferred);
  ask("rebind", {{"to_pool", "warm"}}, {to_string(moved)});
  advance(301 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(why(moved), HasSubstr("source_pool_rate_limit"));
  EXPECT_EQ(ask("rebind", {{"source_pool", "warm"}, {"to_pool", "spare"}}).affected, 2u);
  l = leases();
  ASSERT_EQ(l.size(), 2u);
  for (const auto &lease : l) EXPECT_EQ(lease.source_pool, "spare");
  EXPECT_EQ(ask("rebind", {{"source_pool", "warm"}, {"to_pool", "other"}}).affected, 0u);
}

TEST_F(Scheduling, ASourcePoolsLimitAtADestinationIsNamed) {
  config::RateRule rule;
  rule.key = config::RateKey::SourcePoolDestination;
  rule.match = {"warm"};
  rule.destination = {"one.example"};
  rule.concurrency = 1;
  settings_.rate_limits.push_back(rule);
  begin();
  auto e = envelope({"a@one.example"});
  e.source_pool = "warm";
  mail(e);
  const auto waits = mail(e);
  mail_to({"b@one.example"});
  auto other = envelope({"c@two.example"});
  other.source_pool = "warm";
  mail(other);
  const auto l = leases();
  ASSERT_EQ(l.size(), 3u);
  EXPECT_THAT(why(waits), HasSubstr("\"why\":\"source_pool_destination_concurrency_limit\",\"detail\":"
                                    "\"warm:one.example: 1 at once\",\"value\":1"));
  report(l[0], DeliveryStatus::Sent);
  advance(kMillisecond);  // whom a limit held is let in by a timer, which the clock's zero is before
  ASSERT_EQ(leases().size(), 1u);
  EXPECT_THAT(why(waits), HasSubstr("\"why\":\"delivery\""));
}

TEST_F(Scheduling, APoolsRateAtADestinationWarmsUpAndOutlivesARestart) {
  config::RateRule rule;
  rule.key = config::RateKey::SourcePoolDestination;
  rule.warm_up = {"1/h", "2/h"};
  rule.warm_up_from = "2023-11-14";
  rule.rate = "1000/s";
  settings_.rate_limits.push_back(rule);
  begin();
  auto e = envelope({"a@one.example"});
  e.source_pool = "warm";
  for (int i = 0; i < 2; ++i) mail(e);
  const auto waits = mail(e);
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_THAT(why(waits), HasSubstr("\"why\":\"source_pool_destination_rate_limit\",\"detail\":\"warm:one.example: "));
  again();
  advance(1000 * kSecond);
  EXPECT_TRUE(leases().empty());
  advance(2601 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Scheduling, APoolIsSuspendedForADestination) {
  begin();
  EXPECT_EQ(ask("suspend", {{"source_pool", "warm"}, {"destination", "One.Example"}}).affected, 1u);
  auto e = envelope({"a@one.example"});
  e.source_pool = "warm";
  const auto id = mail(e);
  e.recipients[0].address = "a@two.example";
  mail(e);
  mail_to({"b@one.example"});
  EXPECT_EQ(leases().size(), 2u);
  EXPECT_THAT(why(id), HasSubstr("source pool warm is suspended for one.example: by root"));
  EXPECT_THAT(ask("suspensions", {}).lines,
              HasSubstr("\"key\":\"source_pool\",\"name\":\"warm\",\"destination\":\"one.example\""));
  again();
  advance(kSecond);
  EXPECT_THAT(why(id), HasSubstr("suspended for one.example"));
  EXPECT_EQ(ask("resume", {{"source_pool", "warm"}}).affected, 0u);
  EXPECT_EQ(ask("resume", {{"source_pool", "warm"}, {"destination", "one.example"}}).affected, 1u);
  const auto l = leases();
  EXPECT_TRUE(std::any_of(l.begin(), l.end(), [&](const auto &lease) { return lease.id == id; }));
  EXPECT_THAT(ask("suspend", {{"source_pool", "warm"}, {"tenant", "x"}}).error, HasSubstr("what? give one of"));
}

TEST_F(Scheduling, MailOfASourceGroupLeavesFromItsPools) {
  settings_.source_groups.push_back({"bulk", {"old=1", "new=1"}});
  begin();
  auto e = envelope({"a@example.com"});
  e.source_pool = "bulk";
  for (int i = 0; i < 4; ++i) mail(e);
  auto l = leases();
  ASSERT_EQ(l.size(), 4u);
  std::map<MessageId, std::string> from;
  std::map<std::string, int> of;
  for (const auto &lease : l) {
    ++of[from[lease.id] = lease.source_pool];
    report(lease, DeliveryStatus::Deferred);
  }
  EXPECT_EQ(of, (std::map<std::string, int>{{"new", 2}, {"old", 2}}));
  EXPECT_THAT(why(l[0].id), HasSubstr("\"source_pool\":\"" + l[0].source_pool + "\""));
  EXPECT_THAT(ask("show", {}, {to_string(l[0].id)}).lines, HasSubstr("\"source_pool\":\"bulk\""));
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 4u);
  for (const auto &lease : l) {
    EXPECT_EQ(lease.source_pool, from[lease.id]);
    report(lease, DeliveryStatus::Deferred);
  }
  // An operator gives one pool's part back to the group, which has another pool by then.
  ask("suspend", {{"source_pool", "new"}});
  EXPECT_EQ(ask("rebind", {{"source_pool", "new"}, {"to_pool", "bulk"}}).affected, 2u);
  advance(1000 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 4u);
  for (const auto &lease : l) EXPECT_EQ(lease.source_pool, "old");
}

TEST_F(Scheduling, ARebindsPoolIsCountedAfterARestart) {
  settings_.rate_limits.push_back({config::RateKey::SourcePool, {}, "1/h", 1});
  begin();
  const auto first = mail_to({"a@one.example"}), second = mail_to({"b@two.example"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  for (const auto id : {first, second}) ask("rebind", {{"to_pool", "warm"}}, {to_string(id)});
  again();
  advance(301 * kSecond);
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(why(first) + why(second), HasSubstr("source_pool_rate_limit"));
}

TEST_F(Scheduling, APoolThatAReplyTookIsCountedAsWell) {
  config::ResponseRule rule;
  rule.code = {"4.7.2"};
  rule.action = config::ResponseAction::Pool;
  rule.pool = "spare";
  rule.time = 3600 * kSecond;
  settings_.responses.push_back(rule);
  settings_.rate_limits.push_back({config::RateKey::SourcePool, {"spare"}, "1/h", 1});
  begin();
  for (int i = 0; i < 3; ++i) mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 3u);
  say(egress_, refused(l[0], 450, {4, 7, 2}, "not from there"));
  report(l[1], DeliveryStatus::Deferred);
  report(l[2], DeliveryStatus::Deferred);
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].source_pool, "spare");
  report(l[0], DeliveryStatus::Sent);
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines, HasSubstr("source_pool_rate_limit"));
  // What comes meanwhile is that pool's, too; and when the time is over nothing is any more.
  const auto later = mail_to({"b@example.com"});
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(why(later), HasSubstr("source_pool_rate_limit"));
  advance(3601 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 3u);
  for (const auto &lease : l) EXPECT_EQ(lease.source_pool, "");
}

// The clock is at 22:13:20 (UTC) when it begins.
TEST_F(Scheduling, ARateIsAnotherEachDayOfItsWarmUp) {
  config::RateRule rule;
  rule.key = config::RateKey::SourcePool;
  rule.rate = "1000/s";
  rule.warm_up = {"1/h", "2/h"};
  rule.warm_up_from = "2023-11-14";
  settings_.rate_limits.push_back(rule);
  begin();
  auto e = envelope({"a@example.com"});
  e.source_pool = "new";
  const auto so_many = [&](Nanos later) {
    advance(later);
    const auto l = leases();
    for (const auto &lease : l) report(lease, DeliveryStatus::Sent);
    return l.size();
  };
  MessageId last;
  for (int i = 0; i < 20; ++i) last = mail(e);
  EXPECT_EQ(so_many(0), 1u);
  EXPECT_EQ(so_many(1800 * kSecond), 0u);
  EXPECT_THAT(why(last), HasSubstr("one delivery each 3.6e+03 s"));
  EXPECT_EQ(so_many(1801 * kSecond), 1u);
  EXPECT_EQ(so_many(2800 * kSecond), 1u);  // a second after midnight: half an hour has passed since the last
  EXPECT_THAT(why(last), HasSubstr("one delivery each 1.8e+03 s"));
  EXPECT_EQ(so_many(1799 * kSecond), 0u);
  EXPECT_EQ(so_many(2 * kSecond), 1u);
  EXPECT_EQ(so_many(84'600 * kSecond), 1u);  // past the next midnight
  for (int i = 0; i < 15; ++i) EXPECT_EQ(so_many(kSecond), 1u);
  EXPECT_FALSE(known(last));
}

TEST_F(Scheduling, ASourcePoolIsSuspended) {
  begin();
  ask("suspend", {{"source_pool", "listed"}, {"reason", "on a block list"}});
  auto e = envelope({"a@example.com"});
  e.source_pool = "listed";
  const auto id = mail(e);
  mail_to({"a@example.com"});
  EXPECT_EQ(leases().size(), 1u);
  EXPECT_THAT(why(id), HasSubstr("source pool listed is suspended: on a block list"));
  EXPECT_THAT(ask("suspensions", {}).lines, HasSubstr("\"key\":\"source_pool\",\"name\":\"listed\""));
  ask("rebind", {{"to_pool", "good"}}, {to_string(id)});
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Scheduling, AReplyLowersTheConcurrencyAndAnOperatorEndsThat) {
  config::ResponseRule rule;
  rule.code = {"452"};
  rule.action = config::ResponseAction::Concurrency;
  rule.concurrency = 2;
  settings_.responses.push_back(rule);
  begin();
  EXPECT_EQ(ask("responses", {}).lines, "");
  for (int i = 0; i < 8; ++i) mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  for (std::size_t i = 0; i < 4; ++i) say(egress_, refused(l[i], 452, {4, 3, 2}, "too many connections"));
  EXPECT_EQ(leases().size(), 1u);  // two at once
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines, HasSubstr("\"concurrency\":2"));
  EXPECT_EQ(
      ask("responses", {}).lines,
      "{\"response\":\"concurrency\",\"transport\":\"smtp\",\"destination\":\"example.com\",\"concurrency\":2}\n");
  EXPECT_EQ(ask("unthrottle", {{"destination", "Example.com"}}).affected, 1u);
  EXPECT_EQ(leases().size(), 2u);
  EXPECT_EQ(ask("responses", {}).lines, "");
  EXPECT_EQ(ask("unthrottle", {{"destination", "example.com"}}).affected, 0u);
}

TEST_F(Scheduling, APaceAndAPoolThatRepliesTookAreShownAndEnded) {
  config::ResponseRule slow, pool;
  slow.code = {"421"};
  slow.action = config::ResponseAction::Slow;
  pool.code = {"4.7.2"};
  pool.action = config::ResponseAction::Pool;
  pool.pool = "spare";
  settings_.responses = {slow, pool};
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  say(egress_, refused(l[0], 421, {4, 7, 0}, "slow down"));
  say(egress_, refused(l[1], 450, {4, 7, 2}, "not from there"));
  EXPECT_TRUE(leases().empty());
  const auto lines = ask("responses", {}).lines;
  EXPECT_THAT(lines,
              HasSubstr("{\"response\":\"slow\",\"transport\":\"smtp\",\"destination\":\"example.com\",\"rate\":2.5}"));
  EXPECT_THAT(lines, HasSubstr("{\"response\":\"pool\",\"destination\":\"example.com\",\"source_pool\":\"spare\","
                               "\"until\":\"" +
                               rfc3339(clock_.wall() + 600 * kSecond) + "\"}"));
  EXPECT_EQ(ask("unthrottle", {{"destination", "example.com"}}).affected, 2u);
  const auto again = leases();
  ASSERT_FALSE(again.empty());
  for (const auto &lease : again) EXPECT_EQ(lease.source_pool, "");
  EXPECT_EQ(ask("responses", {}).lines, "");
  EXPECT_THAT(ask("unthrottle", {}).error, HasSubstr("give a destination"));
  EXPECT_THAT(ask("unthrottle", {{"tenant", "x"}}).error, HasSubstr("give a destination"));
}

// What replies did is written down within some seconds, so that a crash forgets little of it.
TEST_F(Scheduling, APaceThatRepliesBroughtAboutOutlivesACrash) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.action = config::ResponseAction::Slow;
  settings_.responses.push_back(rule);
  begin();
  advance(10 * kSecond);
  for (int i = 0; i < 8; ++i) mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  say(egress_, refused(l[0], 421, {4, 7, 0}, "slow down"));
  for (std::size_t i = 1; i < 5; ++i) report(l[i], DeliveryStatus::Deferred);
  advance(5 * kSecond);
  begin();  // no stop before it
  EXPECT_THAT(ask("responses", {}).lines, HasSubstr("\"response\":\"slow\""));
  advance(kSecond);
  EXPECT_EQ(ask("unthrottle", {{"destination", "example.com"}}).affected, 1u);
  begin();  // at once for an operator
  EXPECT_EQ(ask("responses", {}).lines, "");
}

TEST_F(Scheduling, APoolThatAReplyTookOutlivesARestart) {
  config::ResponseRule rule;
  rule.code = {"4.7.2"};
  rule.action = config::ResponseAction::Pool;
  rule.pool = "spare";
  rule.time = 3600 * kSecond;
  settings_.responses.push_back(rule);
  begin();
  mail_to({"a@example.com"});
  say(egress_, refused(leases().at(0), 450, {4, 7, 2}, "not from there"));
  again();
  advance(301 * kSecond);
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].source_pool, "spare");
  report(l[0], DeliveryStatus::Deferred);
  store_->want_checkpoint = true;
  advance(2 * kSecond);
  ASSERT_EQ(store_->checkpoints, 1);
  again();
  EXPECT_THAT(ask("responses", {}).lines, HasSubstr("\"source_pool\":\"spare\""));
  // The rule is gone: so is what it did.
  settings_.responses.clear();
  again();
  EXPECT_EQ(ask("responses", {}).lines, "");
  again();
  EXPECT_EQ(ask("responses", {}).lines, "");
}

TEST_F(Scheduling, RepliesThatWereCountedAreCountedOverARestart) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.threshold = 3;
  rule.window = 600 * kSecond;
  settings_.responses.push_back(rule);
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  for (std::size_t i = 0; i < 2; ++i) say(egress_, refused(l[i], 421, {4, 7, 0}, "busy"));
  for (std::size_t i = 2; i < 5; ++i) report(l[i], DeliveryStatus::Sent);
  again();
  advance(301 * kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 2u);
  EXPECT_EQ(ask("suspensions", {}).lines, "");
  say(egress_, refused(l[0], 421, {4, 7, 0}, "busy"));
  run();
  EXPECT_THAT(ask("suspensions", {}).lines, HasSubstr("example.com"));
}

TEST_F(Scheduling, RepliesThatOtherRulesCountedAreForgotten) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.threshold = 2;
  rule.window = 600 * kSecond;
  settings_.responses.push_back(rule);
  begin();
  mail_to({"a@example.com"});
  say(egress_, refused(leases().at(0), 421, {4, 7, 0}, "busy"));
  run();
  ASSERT_TRUE(core_->stop().ok());
  settings_.responses[0].pattern = "busy";
  begin();
  advance(301 * kSecond);
  say(egress_, refused(leases().at(0), 421, {4, 7, 0}, "busy"));
  run();
  EXPECT_EQ(ask("suspensions", {}).lines, "");
}

TEST_F(Scheduling, AReplySlowsItsDestinationDown) {
  config::ResponseRule rule;
  rule.code = {"421"};
  rule.action = config::ResponseAction::Slow;
  settings_.responses.push_back(rule);
  begin();
  for (int i = 0; i < 8; ++i) mail_to({"a@example.com"});
  auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  say(egress_, refused(l[0], 421, {4, 7, 0}, "slow down"));
  run();
  EXPECT_TRUE(leases().empty());
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines, HasSubstr("\"why\":\"adaptive_rate\""));
  advance(kSecond);
  EXPECT_FALSE(leases().empty());
}

}  // namespace
}  // namespace mansio::queue
