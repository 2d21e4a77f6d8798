// Flushes: what is tried before its time, how much of it at once, and who may not go without one.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;

class Flush : public Bench {
 protected:
  std::uint64_t flush(Match match, std::vector<std::string> ids = {}) {
    wire::QueueCommand c;
    c.verb = "flush";
    c.all = match.empty() && ids.empty();
    c.match = std::move(match);
    c.ids = std::move(ids);
    command(std::move(c));
    run();
    const auto replies = control_.link->take<wire::QueueReply>();
    EXPECT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies.at(0).error, "");
    return replies.at(0).affected;
  }
  wire::FlushReply etrn(const std::string &destination) {
    say(ingress_, wire::FlushRequest{++request_, destination, "client 192.0.2.1"});
    run();
    const auto replies = ingress_.link->take<wire::FlushReply>();
    EXPECT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies.at(0).request, request_);
    return replies.at(0);
  }
  MessageId deferred(const std::string &to) {
    const auto id = mail_to({to});
    report(leases().at(0), DeliveryStatus::Deferred);
    return id;
  }
};

TEST_F(Flush, TriesWhatWaitsForADestinationAndNothingElse) {
  begin();
  const auto wanted = deferred("a@example.com");
  deferred("b@sub.example.com");
  deferred("c@example.net");
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ(flush({{"destination", "Example.COM"}}), 1u);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].id, wanted);
  EXPECT_EQ(flush({{"destination", "nowhere.example"}}), 0u);
}

TEST_F(Flush, ADestinationIsANextHopToo) {
  begin();
  auto e = envelope({"a@example.com", "b@example.net"});
  e.routes = {{"smtp", "[192.0.2.9]:26"}};
  mail(e);
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(flush({{"destination", "[192.0.2.9]:26"}}), 1u);
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(flush({{"destination", "example.net"}}), 1u);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(Flush, OfAMessageOnlyTheRecipientsThere) {
  begin();
  mail_to({"a@example.com", "b@example.net"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
  EXPECT_EQ(flush({{"destination", "example.net"}}), 1u);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].recipients.at(0).address, "b@example.net");
}

TEST_F(Flush, TakesNoMoreThanHalfOfItsTransportsDeliveriesAtOnce) {
  settings_.transports[0].process_limit = 8;
  settings_.transports[0].destination_concurrency_failed_cohort_limit = 0;
  begin();
  for (int i = 0; i < 50; ++i) deferred("a@d" + std::to_string(i) + ".example");
  EXPECT_EQ(flush({}), 50u);
  EXPECT_EQ(stat("mansio_queue_flushing_groups"), 46);
  auto under_way = leases();
  EXPECT_EQ(under_way.size(), 4u);
  mail_to({"new@example.com"});  // new mail has the other half
  EXPECT_EQ(leases().size(), 1u);
  int tried = 0;
  for (; !under_way.empty(); under_way = leases()) {
    EXPECT_LE(under_way.size(), 4u);
    for (const auto &l : under_way) report(l, DeliveryStatus::Deferred), ++tried;
  }
  EXPECT_EQ(tried, 50);
  EXPECT_EQ(stat("mansio_queue_flushing_groups"), 0);
}

TEST_F(Flush, LetsTheNextOutWithoutWaitingForTheDisk) {
  settings_.transports[0].process_limit = 8;
  settings_.transports[0].destination_concurrency_failed_cohort_limit = 0;
  begin();
  for (int i = 0; i < 50; ++i) deferred("a@d" + std::to_string(i) + ".example");
  flush({});
  int tried = 0;
  for (auto under_way = leases(); !under_way.empty(); under_way = egress_.link->take<wire::Lease>()) {
    for (const auto &l : under_way) say(egress_, result(l, DeliveryStatus::Deferred)), ++tried;
    for (int turns = 0; turns < 10; ++turns) core_->turn();  // and no sync
  }
  EXPECT_EQ(tried, 50);
}

TEST_F(Flush, AskedForTwiceItIsDoneOnce) {
  settings_.transports[0].process_limit = 2;
  begin();
  for (int i = 0; i < 3; ++i) deferred("a@d" + std::to_string(i) + ".example");
  EXPECT_EQ(flush({}), 3u);
  EXPECT_EQ(flush({}), 2u);  // the third is under way
  int tried = 0;
  for (auto l = leases(); !l.empty(); l = leases())
    for (const auto &one : l) report(one, DeliveryStatus::Deferred), ++tried;
  EXPECT_EQ(tried, 3);
}

TEST_F(Flush, WhatIsDeletedOrHeldMeanwhileIsLeftOut) {
  settings_.transports[0].process_limit = 2;
  begin();
  std::vector<MessageId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(deferred("a@d" + std::to_string(i) + ".example"));
  flush({});
  const auto first = leases();
  ASSERT_EQ(first.size(), 1u);
  for (const auto *verb : {"delete", "hold"}) {
    wire::QueueCommand c;
    c.verb = verb;
    for (const auto id : ids)
      if (id != first[0].id && c.ids.empty()) c.ids = {to_string(id)};
    ids.erase(std::find_if(ids.begin(), ids.end(), [&](auto id) { return to_string(id) == c.ids[0]; }));
    command(std::move(c));
    run();
  }
  report(first[0], DeliveryStatus::Sent);
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ(stat("mansio_queue_flushing_groups"), 0);
}

TEST_F(Flush, ForAClientWhatWaitsForItsDomain) {
  begin();
  deferred("a@example.com");
  deferred("b@sub.example.com");
  deferred("c@anexample.com");
  EXPECT_EQ(etrn("example.com").messages, 1u);
  EXPECT_EQ(leases().size(), 1u);
  const auto all = etrn("@example.com");
  EXPECT_TRUE(all.begun);
  EXPECT_EQ(all.messages, 1u);  // the other is under way
  EXPECT_EQ(leases().at(0).recipients.at(0).address, "b@sub.example.com");
  EXPECT_EQ(etrn("example.org").messages, 0u);
}

TEST_F(Flush, ForAClientNotWhileMailIsBeingFound) {
  slow_finding_ = true;
  start();
  ingress_ = attach(wire::RoleKind::Ingress, "ingress.0", 100);
  ASSERT_TRUE(core_->recovering());
  say(ingress_, wire::FlushRequest{1, "example.com", "x"});
  const auto replies = ingress_.link->take<wire::FlushReply>();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_FALSE(replies[0].begun);
}

TEST_F(Flush, WithoutOneMailOfADeferredTransportWaits) {
  settings_.queue.defer_transports = {"smtp"};
  begin();
  const auto id = mail_to({"a@example.com"});
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(sink_.text.find("deferred transport"), std::string::npos);
  advance(2 * 3600 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ(flush({}, {to_string(id)}), 1u);
  report(leases().at(0), DeliveryStatus::Deferred);
  advance(2 * 3600 * kSecond);
  EXPECT_TRUE(leases().empty()) << "one flush, one attempt";
  flush({{"destination", "example.com"}});
  report(leases().at(0), DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(Flush, ADeferredTransportsMailExpiresAsAnyOther) {
  settings_.queue.defer_transports = {"smtp"};
  settings_.queue.maximal_queue_lifetime = 3600 * kSecond;
  begin();
  mail_to({"a@example.com"});
  for (int i = 0; i < 20; ++i) advance(300 * kSecond);
  const auto bounces = notifications();
  ASSERT_EQ(bounces.size(), 1u);
  EXPECT_EQ(bounces[0].recipients.at(0).outcome.text, "deferred transport");
}

TEST_F(Flush, SoftBounceKeepsWhatWouldBeReturned) {
  settings_.soft_bounce = true;
  begin();
  const auto id = mail_to({"a@example.com"});
  auto refused = result(leases().at(0), DeliveryStatus::Bounced);
  refused.outcomes[0].smtp_code = 550;
  say(egress_, refused);
  run();
  EXPECT_TRUE(known(id));
  EXPECT_TRUE(notifications().empty());
  EXPECT_NE(sink_.text.find("\"dsn\":\"4.1.1\""), std::string::npos) << sink_.text;
  EXPECT_EQ(stat("mansio_deliveries_total{status=\"bounced\"}"), 0);
  advance(3600 * kSecond);
  report(leases().at(0), DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(Flush, AboveTheBacklogNewMailIsRefusedUntilSomeIsGone) {
  settings_.queue.backlog_limit = 40;
  begin();
  for (int i = 0; i < 39; ++i) deferred("a@example.com");
  (void)ingress_.link->take<wire::Pressure>();
  deferred("a@example.com");
  auto said = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_FALSE(said[0].accept);
  EXPECT_EQ(said[0].code, 452);
  EXPECT_EQ(to_string(said[0].enhanced), "4.3.2");
  flush({});
  for (int i = 0; i < 3; ++i) report(leases().at(0), DeliveryStatus::Sent);
  advance(kSecond);
  said = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].accept);
}

TEST_F(Flush, ABacklogOnHoldRefusesNoNewMail) {
  settings_.queue.backlog_limit = 40;
  begin();
  for (int i = 0; i < 40; ++i) deferred("a@example.com");
  (void)ingress_.link->take<wire::Pressure>();
  EXPECT_EQ(ask("hold", {{"destination", "example.com"}}).affected, 40u);
  advance(kSecond);
  auto said = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].accept);
  for (int i = 0; i < 39; ++i) deferred("b@example.com");
  EXPECT_TRUE(ingress_.link->take<wire::Pressure>().empty());
  deferred("b@example.com");
  said = ingress_.link->take<wire::Pressure>();
  ASSERT_EQ(said.size(), 1u);
  EXPECT_FALSE(said[0].accept);
}

TEST_F(Flush, ADestinationThatFillsWhatIsDueIsWarnedOfOnceAWhile) {
  settings_.queue.qmgr_clog_warn_limit = 10;
  settings_.transports[0].process_limit = 4;
  begin();
  for (int i = 0; i < 20; ++i) mail_to({"a@example.com"});
  advance(20 * kSecond);
  const auto count = [&] {
    std::size_t n = 0;
    for (auto at = sink_.text.find("fills the queue"); at != std::string::npos;
         at = sink_.text.find("fills the queue", at + 1))
      ++n;
    return n;
  };
  EXPECT_EQ(count(), 1u);
  EXPECT_NE(
      sink_.text.find(
          R"("destination":"example.com","transport":"smtp","waiting":11,"due":11,"under_way":4,"limit":"transport_sessions")"),
      std::string::npos)
      << sink_.text;
  advance(100 * kSecond);
  EXPECT_EQ(count(), 1u);
  advance(300 * kSecond);
  EXPECT_EQ(count(), 2u);
  settings_.queue.qmgr_clog_warn_time = 0;
  core_->reload(settings_);
  advance(1000 * kSecond);
  EXPECT_EQ(count(), 2u);
}

TEST_F(Flush, ADestinationThatFillsWhatMayBeUnderDeliveryIsWarnedOfOnceAWhile) {
  settings_.queue.qmgr_message_active_limit = 6;
  settings_.transports[0].initial_destination_concurrency = 20;
  begin();
  mail_to({"a@example.net"});
  for (int i = 0; i < 5; ++i) mail_to({"a@example.com"});
  advance(20 * kSecond);
  const std::string warning = "as much mail is under delivery as may be";
  EXPECT_EQ(sink_.text.find(warning), std::string::npos);  // nobody waits
  mail_to({"a@example.org"});
  advance(20 * kSecond);
  const auto at = sink_.text.find(warning);
  ASSERT_NE(at, std::string::npos) << sink_.text;
  EXPECT_NE(sink_.text.find(R"("limit":"qmgr_message_active_limit","destination":"example.com","transport":"smtp",)"
                            R"("under_way":5,"all_under_way":6,"due":1,)"),
            std::string::npos)
      << sink_.text;
  advance(100 * kSecond);
  EXPECT_EQ(sink_.text.find(warning, at + 1), std::string::npos);
  EXPECT_EQ(sink_.text.find("fills the queue"), std::string::npos);
  advance(300 * kSecond);
  EXPECT_NE(sink_.text.find(warning, at + 1), std::string::npos);
}

// Not those of the transport's table, where another says something else about this destination.
TEST_F(Flush, TheWarningHasTheDestinationsOwnLimits) {
  settings_.queue.qmgr_clog_warn_limit = 10;
  config::DestinationRule rule;
  rule.match = {"example.com"};
  rule.limits.initial_destination_concurrency = rule.limits.destination_concurrency_limit = 3;
  settings_.transports[0].destinations.push_back(rule);
  begin();
  for (int i = 0; i < 20; ++i) mail_to({"a@example.com"});
  advance(20 * kSecond);
  EXPECT_NE(sink_.text.find("raise destination_concurrency_limit (now 3) in [transport.smtp], or in its "
                            "[[transport.smtp.destination]]"),
            std::string::npos)
      << sink_.text;
}

TEST(ClogAdvice, SaysWhatTheLimitThatBindsCallsFor) {
  config::Transport smtp;
  const auto advice = [&](const char *limit, std::uint64_t waiting = 95) {
    return clog_advice(
        {"example.com", "smtp", waiting, 100, {.limit = limit, .detail = "detail", .value = 10}, 10, 10, 1}, &smtp);
  };
  EXPECT_NE(advice("destination_concurrency_limit").find("destination_concurrency_limit (now 10) in [transport.smtp]"),
            std::string::npos);
  for (const std::uint32_t most : {11u, 0u}) {  // to raise what does not bind would be no help
    Clogged grows{"example.com", "smtp", 95, 100, {}, 10, most, 3};
    grows.why.limit = "destination_concurrency_limit";
    grows.why.value = 10;
    const auto text = clog_advice(grows, &smtp);
    EXPECT_EQ(text.find("raise destination_concurrency_limit"), std::string::npos) << text;
    EXPECT_EQ(text.find("grows to 11 at most") != std::string::npos, most > 0) << text;
    EXPECT_NE(text.find("destination_concurrency_failed_cohort_limit (now 3)"), std::string::npos) << text;
  }
  EXPECT_NE(advice("transport_sessions").find("process_limit (now 100)"), std::string::npos);
  EXPECT_NE(advice("dead_destination").find("destination_concurrency_failed_cohort_limit (now 1)"), std::string::npos);
  EXPECT_NE(advice("transport_unavailable").find("No process delivers"), std::string::npos);
  Clogged owned{"example.com", "smtp", 95, 100, {.limit = "transport_sessions", .detail = "detail"}};
  owned.why.owner = "shared";
  EXPECT_NE(clog_advice(owned, &smtp).find("[rate.shared] keeps transport_sessions"), std::string::npos);
  const std::pair<const char *, const char *> others[] = {
      {"tenant_share", "weight of its [[tenant]]"},
      {"adaptive_rate", "`mansio queue unthrottle --destination example.com`"},
      {"suspended", "`mansio queue resume`"},
      {"destination_rate_delay", "destination_rate_delay (detail)"},
      {"transport_rate_limit", "transport_rate_limit (detail)"},
      {"tenant_rate_limit", "tenant_rate_limit (detail)"},
      {"source_pool_destination_concurrency_limit", "Raise that limit"},
      {"qmgr_message_active_limit", "Nothing more begins"},
      {"qmgr_message_recipient_limit", "Nothing more begins"},
      {"journal", "before the spool's journal can be written: detail"}};
  for (const auto &[limit, what] : others) EXPECT_NE(advice(limit).find(what), std::string::npos) << advice(limit);
  EXPECT_NE(full_advice({"example.com", "smtp", 0, 1, {.limit = "qmgr_message_recipient_limit", .detail = ""}, 5})
                .find("raise qmgr_message_recipient_limit in [queue]"),
            std::string::npos);
  EXPECT_NE(advice("something new").find("detail."), std::string::npos);
  EXPECT_EQ(advice("turn").find("Other mail may be delayed"), std::string::npos);
  EXPECT_NE(advice("turn", 50).find("Other mail may be delayed"), std::string::npos);
}

}  // namespace
}  // namespace mansio::queue
