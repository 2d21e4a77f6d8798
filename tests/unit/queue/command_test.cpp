// The operator's commands on the queue core: what they list, what they change, and when that must wait for an egress.
#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using wire::DeliveryStatus;

class QueueCommand : public Bench {
 protected:
  using Bench::ask;
  wire::QueueReply ask(const std::string &verb, MessageId id) { return ask(verb, {}, {to_string(id)}); }
  wire::QueueReply ask(const std::string &verb) {  // of all
    wire::QueueCommand c;
    c.verb = verb;
    c.all = true;
    return ask(std::move(c));
  }
  // A list of all, of which no more is read than fits in one reply.
  std::string begin_list() {
    wire::QueueCommand c;
    c.verb = "list";
    c.all = true;
    command(std::move(c));
    run();
    std::string lines;
    for (const auto &r : control_.link->take<wire::QueueReply>())
      if (r.request == request_) lines += r.lines;
    return lines;
  }
  // The rest of it.
  wire::QueueReply end_list() {
    wire::QueueReply all;
    for (int i = 0; i < 10000 && !all.done; ++i) {
      say(control_, wire::QueueCommandCredit{request_});
      run();
      for (auto &r : control_.link->take<wire::QueueReply>()) {
        if (r.request != request_) continue;
        all.lines += r.lines;
        all.done = r.done;
        all.error = r.error;
        all.affected = r.affected;
      }
    }
    EXPECT_TRUE(all.done);
    return all;
  }
  static std::multiset<std::string> lines_of(const std::string &text) {
    std::multiset<std::string> out;
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      out.insert(text.substr(at, end - at));
      at = end + 1;
    }
    return out;
  }
};

TEST_F(QueueCommand, ListsWithPostfixsKeys) {
  begin();
  const auto id = mail_to({"a@example.com"});
  auto later = result(leases().at(0), DeliveryStatus::Deferred);
  later.outcomes[0].smtp_code = 450;
  later.outcomes[0].text = "later";
  say(egress_, later);
  run();
  const auto r = ask("list");
  EXPECT_NE(r.lines.find("{\"queue_name\":\"deferred\",\"queue_id\":\"" + to_string(id) + "\",\"arrival_time\":"),
            std::string::npos)
      << r.lines;
  EXPECT_NE(r.lines.find("\"message_size\":1000,\"forced_expire\":false,\"sender\":\"sender@example.org\","
                         "\"recipients\":[{\"address\":\"a@example.com\",\"delay_reason\":\"host "
                         "mx.example.com[192.0.2.25] said: 450 4.2.0 later\"}]}\n"),
            std::string::npos)
      << r.lines;
}

TEST_F(QueueCommand, ListsWordsOfOursAsOursAndTheNullSenderByName) {
  begin();
  mail(envelope({"a@example.com"}, ""));
  auto lost = result(leases().at(0), DeliveryStatus::Deferred);
  lost.outcomes[0].text = "lost connection with mx.example.com[192.0.2.25]:25";
  say(egress_, lost);
  run();
  const auto r = ask("list");
  EXPECT_NE(r.lines.find("\"sender\":\"MAILER-DAEMON\",\"recipients\":[{\"address\":\"a@example.com\","
                         "\"delay_reason\":\"lost connection with mx.example.com[192.0.2.25]:25\"}]}\n"),
            std::string::npos)
      << r.lines;
}

TEST_F(QueueCommand, StreamsALongListByCredit) {
  begin();
  core_->draining(egress_.peer);
  for (int i = 0; i < 1000; ++i) mail_to({"a@d" + std::to_string(i) + ".example"});
  const auto r = ask("list");
  EXPECT_EQ(std::count(r.lines.begin(), r.lines.end(), '\n'), 1000);
  EXPECT_EQ(r.affected, 1000u);
}

TEST_F(QueueCommand, AListIsOfTheMomentAtWhichItWasAskedFor) {
  begin();
  std::vector<MessageId> ids;
  for (int i = 0; i < 1500; ++i) ids.push_back(mail_to({"a@d" + std::to_string(i) + ".example"}));
  auto given = leases();
  ASSERT_EQ(given.size(), 100u);
  const auto before = lines_of(ask("list").lines);
  ASSERT_EQ(before.size(), 1500u);
  auto lines = begin_list();
  ASSERT_LT(lines_of(lines).size(), 500u);
  // Whose turn is yet to come: delivered, deferred, bounced, leased, held, gone; and new ones in their place.
  for (int round = 0; round < 8; ++round) {
    for (std::size_t i = 0; i < given.size(); ++i)
      report(given[i], i % 3 == 0   ? DeliveryStatus::Sent
                       : i % 3 == 1 ? DeliveryStatus::Deferred
                                    : DeliveryStatus::Bounced);
    for (int i = 0; i < 20; ++i) mail_to({"new@d" + std::to_string(i) + ".example"});
    given = leases();
  }
  for (std::size_t i = 1200; i < 1500; i += 2) {
    wire::QueueCommand c;
    c.request = 1000 + static_cast<std::uint32_t>(i);
    c.verb = i % 4 == 0 ? "hold" : "delete";
    c.ids = {to_string(ids[i])};
    say(control_, c);
    run();
  }
  const auto rest = end_list();
  EXPECT_EQ(rest.error, "");
  EXPECT_EQ(lines_of(lines + rest.lines), before);
  EXPECT_NE(lines_of(ask("list").lines), before);
}

TEST_F(QueueCommand, AListThatIsReadTooSlowlySaysThatItIsNotOfOneMoment) {
  begin();
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(std::string(200, 'x') + std::to_string(i) + "@example.com");
  std::vector<MessageId> ids;
  for (int i = 0; i < 500; ++i) ids.push_back(mail_to(many));
  core_->draining(egress_.peer);
  run();
  const auto lines = begin_list();
  wire::QueueCommand hold;
  hold.request = 1000;
  hold.verb = "hold";
  hold.all = true;
  say(control_, hold);
  run();
  const auto rest = end_list();
  EXPECT_NE(rest.error, "");
  std::set<std::string> listed;
  for (const auto &line : lines_of(lines + rest.lines)) EXPECT_TRUE(listed.insert(line).second);
  EXPECT_EQ(listed.size(), ids.size());
}

TEST_F(QueueCommand, HoldsAndReleases) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(ask("hold", id).affected, 1u);
  EXPECT_EQ(ask("hold", id).affected, 0u);
  advance(1000 * kSecond);
  EXPECT_TRUE(leases().empty());
  begin();  // over a restart too
  advance(1000 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(ask("list").lines.find("\"queue_name\":\"hold\""), std::string::npos);
  EXPECT_EQ(ask("release", id).affected, 1u);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(QueueCommand, ReleaseWaitsForAnEgressThatHoldsTheMessageSinceBeforeARestart) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  core_->attach_done();
  say(egress_, wire::EgressHello{"smtp", 100, {l.at(0).lease}, {id}});
  ask("hold", id);
  ask("release", id);
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  report(l[0], DeliveryStatus::Sent);
  EXPECT_FALSE(known(id));
}

TEST_F(QueueCommand, RequeueGivesANewTimeStampAndRoutesAgain) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  advance(100 * kSecond);
  EXPECT_EQ(ask("requeue", id).affected, 1u);
  EXPECT_EQ(core_->index().message(core_->index().find(id)).arrival, clock_.wall());
  const auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].id, id);
  ASSERT_EQ(requests[0].recipients.size(), 1u);
  EXPECT_EQ(requests[0].recipients[0].second, "a@example.com");
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.routes = {{0, Route{"smtp", "[192.0.2.9]:25"}}};
  say(router_, reply);
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  EXPECT_EQ(l[0].nexthop, "[192.0.2.9]:25");
}

TEST_F(QueueCommand, ADeliveryThatIsGivenUpAfterARequeueIsNoAttempt) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto give_up = [&](const wire::Lease &lease) {
    auto o = result(lease, DeliveryStatus::Deferred);
    o.interrupted = true;
    say(egress_, o);
  };
  auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  give_up(l[0]);
  ask("requeue", id);
  const auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.routes = {{0, Route{"smtp", "[192.0.2.9]:25"}}};
  say(router_, reply);
  advance(kSecond);
  l = leases();
  ASSERT_EQ(l.size(), 1u);
  give_up(l[0]);
  advance(kSecond);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(QueueCommand, ARouteThatRefusesOneRecipientRefusesThatOneOnly) {
  settings_.queue.notify_classes = {};
  begin();
  const auto id = mail_to({"a@example.com", "b@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  ask("requeue", id);
  const auto requests = router_.link->take<wire::RouteRequest>();
  ASSERT_EQ(requests.size(), 1u);
  wire::RouteReply reply;
  reply.request = requests[0].request;
  reply.id = id;
  reply.refusals = {{0, {5, 1, 2}, "not there"}, {1, {4, 3, 5}, "try later"}};
  say(router_, reply);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  ASSERT_EQ(n[0].recipients.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].address, "a@example.com");
  EXPECT_EQ(n[0].recipients[0].outcome.text, "not there");
  EXPECT_NE(ask("show", id).lines.find("try later"), std::string::npos);
}

TEST_F(QueueCommand, RequeueWaitsForAnEgressThatHoldsTheMessageSinceBeforeARestart) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  start();
  egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 200);
  router_ = attach(wire::RoleKind::Router, "router", 300);
  core_->attach_done();
  say(router_, wire::WriterHello{});
  say(egress_, wire::EgressHello{"smtp", 100, {l.at(0).lease}, {id}});
  ask("requeue", id);
  advance(kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_TRUE(router_.link->take<wire::RouteRequest>().empty());
  report(l[0], DeliveryStatus::Deferred);
  EXPECT_EQ(router_.link->take<wire::RouteRequest>().size(), 1u);
}

TEST_F(QueueCommand, HoldingWhatIsBeingDeliveredHoldsWhatComesBack) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ask("hold", id);
  report(l.at(0), DeliveryStatus::Deferred);
  advance(1000 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(ask("show", id).lines.find("\"why\":\"hold\""), std::string::npos);
}

TEST_F(QueueCommand, DeletesAtOnceOrWhenTheLeaseEnds) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  EXPECT_EQ(ask("delete", id).affected, 1u);
  EXPECT_TRUE(known(id));
  EXPECT_EQ(egress_.link->take<wire::CancelLease>().size(), 1u);
  report(l.at(0), DeliveryStatus::Deferred);
  EXPECT_FALSE(known(id));
  const auto second = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  ask("delete", second);
  EXPECT_FALSE(known(second));
  EXPECT_TRUE(notifications().empty());
  begin();
  EXPECT_FALSE(known(id));
  EXPECT_FALSE(known(second));
}

TEST_F(QueueCommand, ExpireReturnsWhatIsUncertainToo) {
  begin();
  const auto id = mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 1u);
  ask("expire", id);
  EXPECT_TRUE(notifications().empty());
  report(l[0], DeliveryStatus::Uncertain);
  EXPECT_EQ(notifications().size(), 1u);
}

TEST_F(QueueCommand, ExpireReturnsWhatWasTried) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  ask("expire", id);
  const auto n = notifications();
  ASSERT_EQ(n.size(), 1u);
  EXPECT_EQ(n[0].recipients[0].outcome.text, "450 later");
}

TEST_F(QueueCommand, FlushTriesNow) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_TRUE(leases().empty());
  EXPECT_EQ(ask("flush").affected, 1u);
  EXPECT_EQ(leases().size(), 1u);
}

TEST_F(QueueCommand, MatchesBySenderRecipientDomainStateTransportAndAge) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  advance(100 * kSecond);
  mail_to({"b@example.org"});
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(ask("list", {{"domain", "EXAMPLE.com"}}).affected, 1u);
  EXPECT_EQ(ask("list", {{"recipient", "b@example.org"}}).affected, 1u);
  EXPECT_EQ(ask("list", {{"sender", "sender@example.org"}}).affected, 2u);
  EXPECT_EQ(ask("list", {{"older", "1m"}}).affected, 1u);
  EXPECT_EQ(ask("list", {{"state", "deferred"}, {"transport", "smtp"}}).affected, 2u);
  EXPECT_EQ(ask("list", {{"state", "hold"}}).affected, 0u);
  EXPECT_NE(ask("list", {{"colour", "red"}}).error, "");
  EXPECT_NE(ask("summary").lines.find("\"deferred\":2"), std::string::npos);
}

std::string zeros(int n) {
  std::string out;
  for (int i = 0; i < n; ++i) out += "0,";
  return out;
}

TEST_F(QueueCommand, ShapeCountsByDomainOrDestinationAndAge) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  advance(6 * 60 * kSecond);
  mail(envelope({"b@Example.org", "c@example.org"}, ""));
  for (const auto &lease : leases()) report(lease, DeliveryStatus::Deferred);
  const auto shape = [&](const std::string &by) {
    const auto asked =
        ask("qshape", {{"state", "deferred"}, {"by", by}, {"buckets", "3"}, {"width", "5"}, {"linear", "false"}});
    EXPECT_EQ(asked.error, "");
    return asked.lines;
  };
  EXPECT_EQ(shape("recipient"), R"({"domain":"example.com","total":1,"ages":[0,1,0]})"
                                "\n"
                                R"({"domain":"example.org","total":2,"ages":[2,0,0]})"
                                "\n");
  EXPECT_EQ(shape("sender"), R"({"domain":"example.org","total":1,"ages":[0,1,0]})"
                             "\n"
                             R"({"domain":"MAILER-DAEMON","total":1,"ages":[1,0,0]})"
                             "\n");
  EXPECT_EQ(shape("destination"), R"({"transport":"smtp","destination":"example.com","total":1,"ages":[0,1,0]})"
                                  "\n"
                                  R"({"transport":"smtp","destination":"example.org","total":2,"ages":[2,0,0]})"
                                  "\n");
  EXPECT_EQ(ask("qshape", {{"state", "hold,corrupt"}}).lines, "");
  EXPECT_EQ(ask("qshape", {{"by", "sender"}, {"buckets", "200"}, {"width", "0.11"}, {"linear", "true"}}).lines,
            R"({"domain":"example.org","total":1,"ages":[)" + zeros(54) + "1," + zeros(144) +
                "0]}\n"
                R"({"domain":"MAILER-DAEMON","total":1,"ages":[1,)" +
                zeros(198) + "0]}\n");
  for (const auto *buckets : {"0", "-1", "1001", "10 of them"})
    EXPECT_NE(ask("qshape", {{"buckets", buckets}}).error, "") << buckets;
  EXPECT_EQ(ask("qshape", {{"buckets", "1000"}}).error, "");
  for (const auto *width : {"0", "-1", "nan", "1e9", "5 minutes"})
    EXPECT_NE(ask("qshape", {{"width", width}}).error, "") << width;
  EXPECT_EQ(ask("qshape", {{"width", "0.5"}}).error, "");
  EXPECT_NE(ask("qshape", {{"by", "colour"}}).error, "");
  EXPECT_NE(ask("qshape", {{"domain", "example.com"}}).error, "");
}

TEST_F(QueueCommand, ShapeKnowsTheDomainsOfRecipientsThatShareANextHop) {
  begin();
  auto e = envelope({"a@example.com", "b@example.net"});
  e.routes = {{"smtp", "[192.0.2.9]"}};
  mail(e);
  const auto lines = [&] { return ask("qshape", {{"buckets", "1"}}).lines; };
  EXPECT_EQ(lines(), R"({"domain":"example.com","total":1,"ages":[1]})"
                     "\n"
                     R"({"domain":"example.net","total":1,"ages":[1]})"
                     "\n");
  const auto lease = leases().at(0);
  auto half = result(lease, DeliveryStatus::Deferred);
  half.outcomes[0] = outcome(0, DeliveryStatus::Sent, {2, 0, 0}, "250 ok");
  say(egress_, half);
  run();
  EXPECT_EQ(lines(), R"({"domain":"example.net","total":1,"ages":[1]})"
                     "\n");
}

TEST_F(QueueCommand, ShapeKnowsThemWhenTheNextHopIsOneOfThem) {
  begin();
  auto e = envelope({"a@example.com", "b@example.net"});
  e.routes = {{"smtp", "example.com"}};
  mail(e);
  e.recipients.resize(1);
  mail(e);
  EXPECT_EQ(ask("qshape", {{"buckets", "1"}}).lines, R"({"domain":"example.com","total":2,"ages":[2]})"
                                                     "\n"
                                                     R"({"domain":"example.net","total":1,"ages":[1]})"
                                                     "\n");
}

TEST(Domains, ForgetsWhatNobodyWaitsForAnyMore) {
  Domains domains;
  const auto one = domains.take("example.com"), again = domains.take("example.com"),
             other = domains.take("example.net");
  EXPECT_EQ(one, again);
  EXPECT_NE(one, other);
  domains.drop(one);
  EXPECT_EQ(domains.name(one), "example.com");
  domains.drop(again);
  EXPECT_EQ(domains.size(), 1u);
  EXPECT_EQ(domains.take("example.org"), one);  // its number is free again
  domains.drop(kNoDomain);
  domains.drop(kInEnvelope);
  EXPECT_EQ(domains.size(), 2u);
}

TEST(Domains, HasNumbersForSoManyNames) {
  Domains domains;
  DomainId last = 0;
  for (int i = 0; i < 70'000; ++i) last = domains.take("d" + std::to_string(i) + ".example");
  EXPECT_EQ(last, kInEnvelope);
  EXPECT_EQ(domains.size(), 65'534u);
  EXPECT_EQ(domains.name(domains.take("d7.example")), "d7.example");
  const auto freed = domains.take("d9.example");
  domains.drop(freed);
  domains.drop(freed);
  EXPECT_EQ(domains.take("another.example"), freed);
}

TEST(Domains, ShapeNameIsTheDomainInLowerCase) {
  EXPECT_EQ(shape_name(""), "MAILER-DAEMON");
  EXPECT_EQ(shape_name("Postmaster"), "postmaster");
  EXPECT_EQ(shape_name("\"a@b\"@Example.COM."), "example.com");
  EXPECT_EQ(shape_name("a@"), "MAILER-DAEMON");
  EXPECT_EQ(shape_name("a@."), ".");
}

TEST_F(QueueCommand, ShapeSendsEveryRowOfManyDestinations) {
  begin();
  std::vector<std::string> recipients;
  for (int i = 0; i < 700; ++i) recipients.push_back("a@d" + std::to_string(i) + ".example.com");
  mail_to(recipients);
  const auto shape = ask("qshape");
  EXPECT_EQ(shape.affected, 1u);
  EXPECT_EQ(std::count(shape.lines.begin(), shape.lines.end(), '\n'), 700);
}

TEST_F(QueueCommand, EveryMessageIsCountedInOneState) {
  const auto counts = [&] {
    std::string out;
    for (const auto *state : {"incoming", "active", "deferred", "hold", "corrupt"})
      out +=
          std::to_string(static_cast<int>(stat("mansio_queue_messages{state=\"" + std::string{state} + "\"}"))) + ' ';
    return out;
  };
  begin();
  EXPECT_EQ(counts(), "0 0 0 0 0 ");
  const auto held = mail_to({"a@example.com"});
  auto l = leases();
  EXPECT_EQ(counts(), "0 1 0 0 0 ");
  report(l.at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(counts(), "0 0 1 0 0 ");
  core_->draining(egress_.peer);  // nobody delivers for a while
  const auto fresh = mail_to({"b@example.org", "c@example.net"});
  EXPECT_EQ(counts(), "1 0 1 0 0 ");
  ask("hold", held);
  EXPECT_EQ(counts(), "1 0 0 1 0 ");
  run();
  begin();
  EXPECT_EQ(counts(), "1 0 0 1 0 ");
  advance(kSecond);
  EXPECT_EQ(counts(), "0 1 0 1 0 ");
  l = leases();
  ASSERT_EQ(l.size(), 2u);
  report(l[0], DeliveryStatus::Sent);
  EXPECT_EQ(counts(), "0 1 0 1 0 ");
  report(l[1], DeliveryStatus::Sent);
  EXPECT_FALSE(known(fresh));
  EXPECT_EQ(counts(), "0 0 0 1 0 ");
  ask("release", held);
  EXPECT_EQ(counts(), "0 1 0 0 0 ");
  ask("requeue", held);
  ask("delete", held);
  report(leases().at(0), DeliveryStatus::Deferred);
  EXPECT_EQ(counts(), "0 0 0 0 0 ");
}

TEST_F(QueueCommand, RefusesACommandThatNamesNoMessages) {
  begin();
  wire::QueueCommand c;
  c.verb = "delete";
  EXPECT_NE(ask(c).error, "");
  c.verb = "explode";
  c.all = true;
  EXPECT_NE(ask(c).error, "");
}

TEST_F(QueueCommand, ShowsWhyAMessageDoesNotMove) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  const auto r = ask("show", id);
  EXPECT_NE(r.lines.find("\"why\":\"backoff\""), std::string::npos) << r.lines;
  EXPECT_NE(r.lines.find("\"attempts\":1"), std::string::npos);
  EXPECT_NE(r.lines.find("\"eligible\":\""), std::string::npos);
}

TEST_F(QueueCommand, AnUnreadableEnvelopeSetsTheMessageAside) {
  begin();
  const auto id = mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Deferred);
  begin();
  store_->unreadable = true;
  advance(301 * kSecond);
  EXPECT_TRUE(leases().empty());
  EXPECT_NE(ask("list").lines.find("\"queue_name\":\"corrupt\",\"queue_id\":\"" + to_string(id)), std::string::npos);
  EXPECT_EQ(stat("mansio_queue_messages{state=\"corrupt\"}"), 1);
}

}  // namespace
}  // namespace mansio::queue
