// `queue why` through the queue core. For each limit that docs/scheduling.md names there is a situation here in which
// it binds, and what is answered then: the limit, its value, how many others wait for it, from when on the mail may go.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <set>

#include "tests/unit/queue/bench.hpp"

namespace mansio::queue {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using wire::DeliveryStatus;

class WhyBench;
struct WhyCase {
  const char *limit;
  std::string (WhyBench::*line)();      // arranges it, and asks
  double value = 0;                     // 0: the answer has none
  double others = 0;                    // 0: none, or the answer does not say
  std::optional<double> eligible = {};  // seconds from now; none: the answer has no time
  const char *situation = "";           // where a limit has several
};
void PrintTo(const WhyCase &c, std::ostream *out) { *out << c.limit << c.situation; }

double number_after(const std::string &line, const std::string &key) {
  const auto at = line.find("\"" + key + "\":");
  return at == std::string::npos ? 0 : std::strtod(line.c_str() + at + key.size() + 3, nullptr);
}

class WhyBench : public Bench, public ::testing::WithParamInterface<WhyCase> {
 public:
  // A back-off is a message's own, and so is a hold.
  std::string backoff() {
    begin();
    const auto id = last_of(2, envelope({"a@example.com"}));
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
    return why(id);
  }
  std::string concurrency() {
    begin();
    return why(last_of(12, envelope({"a@example.com"})));
  }
  // What is due at a dead destination counts as tried in the same turn, so that only a queue that leases nothing more
  // can be asked about some of it.
  std::string dead_destination() {
    begin();
    for (int i = 0; i < 5; ++i) mail_to({"a@example.com"});
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred, true);
    core_->drain();
    return why(last_of(2, envelope({"a@example.com"})));
  }
  std::string destination_rate_delay() {
    smtp().destination_rate_delay = 10 * kSecond;
    begin();
    const auto last = last_of(3, envelope({"a@example.com"}));
    report(leases().at(0), DeliveryStatus::Sent);
    return why(last);
  }
  std::string destination_rate_limit() {
    smtp().destination_rate_limit = "1/m";
    begin();
    return why(last_of(3, envelope({"a@example.com"})));
  }
  std::string adaptive_rate() {
    config::ResponseRule rule;
    rule.code = {"421"};
    rule.action = config::ResponseAction::Slow;
    settings_.responses.push_back(rule);
    begin();
    const auto last = last_of(8, envelope({"a@example.com"}));
    const auto l = leases();
    auto refused = result(l.at(0), DeliveryStatus::Deferred);
    refused.outcomes[0].smtp_code = 421;
    say(egress_, refused);
    return why(last);
  }
  std::string tenant_rate_limit() { return party_rate_limit(config::RateKey::Tenant); }
  std::string campaign_rate_limit() { return party_rate_limit(config::RateKey::Campaign); }
  std::string sender_rate_limit() { return party_rate_limit(config::RateKey::Sender); }
  std::string source_pool_rate_limit() { return party_rate_limit(config::RateKey::SourcePool); }
  std::string source_pool_destination_rate_limit() { return party_rate_limit(config::RateKey::SourcePoolDestination); }
  std::string source_pool_destination_concurrency_limit() {
    config::RateRule rule;
    rule.key = config::RateKey::SourcePoolDestination;
    rule.concurrency = 1;
    settings_.rate_limits.push_back(rule);
    begin();
    auto e = envelope({"a@example.com"});
    e.source_pool = "named";
    return why(last_of(3, e));
  }
  std::string transport_rate_delay() {
    smtp().transport_rate_delay = 10 * kSecond;
    begin();
    return why(last_of(3, envelope({"a@example.com"})));
  }
  std::string transport_rate_limit() {
    smtp().transport_rate_limit = "1/m";
    begin();
    return why(last_of(3, envelope({"a@example.com"})));
  }
  std::string transport_sessions() {
    smtp().process_limit = 2;
    begin();
    MessageId last;
    for (int i = 0; i < 4; ++i) last = mail_to({"a@d" + std::to_string(i) + ".example"});
    return why(last);
  }
  std::string tenant_share() {
    smtp().process_limit = 10;
    smtp().initial_destination_concurrency = 20;
    begin();
    auto other = envelope({"a@other.example"}), own = envelope({"a@own.example"});
    other.tenant = "other";
    own.tenant = "own";
    mail(other);
    const auto last = last_of(20, own);
    EXPECT_EQ(leases().size(), 9u);  // the tenth place is left
    return why(last);
  }
  std::string message_active_limit() {
    settings_.queue.qmgr_message_active_limit = 3;
    begin();
    MessageId last;
    for (int i = 0; i < 6; ++i) last = mail_to({"a@d" + std::to_string(i) + ".example"});
    return why(last);
  }
  std::string message_recipient_limit() {
    settings_.queue.qmgr_message_recipient_limit = 3;
    begin();
    MessageId last;
    for (int i = 0; i < 6; ++i)
      last = mail_to({"a@d" + std::to_string(i) + ".example", "b@d" + std::to_string(i) + ".example"});
    EXPECT_EQ(leases().size(), 2u);
    return why(last);
  }
  std::string transport_unavailable() {
    config::Transport other;
    other.name = "other";
    settings_.transports.push_back(other);
    begin();
    advance(kMillisecond);  // zero on the clock is no time since which it is gone
    auto e = envelope({"a@example.com"});
    e.routes = {{"other", ""}};
    return why(last_of(2, e));
  }
  // Mail whose way is not known waits for the router on a transport of its own.
  std::string no_router() {
    begin();
    die(router_, false);
    return why_without_a_way(last_of(2, without_a_way()));
  }
  std::string put_off_by_the_router() {
    begin();
    const auto id = mail(without_a_way());
    const auto requests = router_.link->take<wire::RouteRequest>();
    EXPECT_EQ(requests.size(), 1u);
    wire::RouteReply reply;
    reply.request = requests.at(0).request;
    reply.id = id;
    reply.refusals = {{0, {4, 3, 5}, "a table does not answer"}};
    say(router_, reply);
    return why_without_a_way(id);
  }
  std::string with_the_router() {
    begin();
    return why_without_a_way(mail(without_a_way()));
  }
  std::string suspended() {
    begin();
    ask("suspend", {{"destination", "example.com"}, {"for", "10m"}});
    return why(last_of(3, envelope({"a@example.com"})));
  }
  std::string alone() {
    begin();
    const auto suspect = mail_to({"a@example.com"});
    EXPECT_EQ(leases().size(), 1u);
    die(egress_, true, suspect);
    egress_ = attach(wire::RoleKind::Egress, "egress.smtp", 201);
    say(egress_, wire::EgressHello{"smtp", 100, {}, {}});
    EXPECT_EQ(leases().size(), 1u);  // it runs alone now
    return why(last_of(2, envelope({"a@example.net"})));
  }
  std::string hold() {
    begin();
    const auto other = mail_to({"a@example.com"}), id = mail_to({"a@example.com"});
    for (const auto &l : leases()) report(l, DeliveryStatus::Deferred);
    ask("hold", {}, {to_string(other), to_string(id)});
    const auto line = why(id);
    EXPECT_THAT(line, HasSubstr("\"detail\":\"held by root\""));
    return line;
  }
  // Of a transport with two sessions one flushed delivery is let out at a time.
  std::string flush() {
    smtp().process_limit = 2;
    begin();
    std::vector<std::string> ids;
    MessageId last;
    for (int i = 0; i < 3; ++i) {
      last = mail_to({"a@d" + std::to_string(i) + ".example"});
      ids.push_back(to_string(last));
      report(leases().at(0), DeliveryStatus::Deferred);
    }
    ask("flush", {}, ids);
    EXPECT_EQ(leases().size(), 1u);
    return why(last);
  }
  std::string defer_transports() {
    settings_.queue.defer_transports = {"smtp"};
    begin();
    return why(mail_to({"a@example.com"}));
  }
  // What a delivery said ten seconds ago is not on the disk yet.
  std::string journal() {
    begin();
    mail_to({"a@example.com"});
    say(egress_, result(leases().at(0), DeliveryStatus::Sent));
    clock_.advance(10 * kSecond);
    return why_without_sync(envelope({"b@example.org"}));
  }
  std::string stop() {
    begin();
    core_->drain();
    return why(last_of(2, envelope({"a@example.com"})));
  }
  std::string delivery() {
    begin();
    return why(mail_to({"a@example.com"}));
  }
  // The first lease after a rest waits until the disk knows that there are leases.
  std::string turn() {
    begin();
    return why_without_sync(envelope({"a@example.com"}));
  }
  std::string restart() {
    begin();
    const auto id = mail_to({"a@example.com"});
    const auto l = leases();
    EXPECT_EQ(l.size(), 1u);
    start();
    cast({l.at(0).lease}, {id});
    advance(kSecond);
    return why(id);
  }

 protected:
  config::Transport &smtp() { return settings_.transports.front(); }
  std::string why(MessageId id) { return ask("why", {}, {to_string(id)}).lines; }
  // Of a message that has just come, while the disk writes nothing.
  std::string why_without_sync(const Envelope &e) {
    const auto at = commit(e);
    say(ingress_, wire::Notice{++sequence_, at.id, at.commit, at.envelope, at.body, encode_envelope(e)});
    wire::QueueCommand c;
    c.verb = "why";
    c.ids = {to_string(at.id)};
    command(std::move(c));
    for (int i = 0; i < 10; ++i) core_->turn();
    const auto replies = control_.link->take<wire::QueueReply>();
    EXPECT_EQ(replies.size(), 1u);
    return replies.empty() ? "" : replies[0].lines;
  }
  Envelope without_a_way() {
    auto e = envelope({"a@example.com"});
    e.routes = {{"elsewhere", ""}};  // there is no such transport
    return e;
  }
  std::string why_without_a_way(MessageId id) {
    auto line = why(id);
    EXPECT_THAT(line, HasSubstr("\"transport\":\"(routing)\",\"destination\":\"router\""));
    return line;
  }
  MessageId last_of(int n, const Envelope &e) {
    MessageId last;
    for (int i = 0; i < n; ++i) last = mail(e);
    return last;
  }
  std::string party_rate_limit(config::RateKey key) {
    settings_.rate_limits.push_back({key, {}, "1/m", 1});
    begin();
    auto e = envelope({"a@example.com"});
    e.tenant = e.campaign = e.source_pool = "named";
    return why(last_of(3, e));
  }
};

const WhyCase kWhyCases[] = {
    {"backoff", &WhyBench::backoff, 0, 0, 300},
    {"destination_concurrency_limit", &WhyBench::concurrency, 5, 6},
    {"dead_destination", &WhyBench::dead_destination, 0, 1, 300},
    {"destination_rate_delay", &WhyBench::destination_rate_delay, 10, 1, 10},
    {"destination_rate_limit", &WhyBench::destination_rate_limit, 60, 1, 60},
    {"adaptive_rate", &WhyBench::adaptive_rate, 0.4, 2, 0.4},
    {"tenant_rate_limit", &WhyBench::tenant_rate_limit, 60, 1, 60},
    {"campaign_rate_limit", &WhyBench::campaign_rate_limit, 60, 1, 60},
    {"sender_rate_limit", &WhyBench::sender_rate_limit, 60, 1, 60},
    {"source_pool_rate_limit", &WhyBench::source_pool_rate_limit, 60, 1, 60},
    {"source_pool_destination_rate_limit", &WhyBench::source_pool_destination_rate_limit, 60, 1, 60},
    {"source_pool_destination_concurrency_limit", &WhyBench::source_pool_destination_concurrency_limit, 1, 1},
    {"transport_rate_delay", &WhyBench::transport_rate_delay, 10, 1, 10},
    {"transport_rate_limit", &WhyBench::transport_rate_limit, 60, 1, 60},
    {"transport_sessions", &WhyBench::transport_sessions, 2, 1},
    {"tenant_share", &WhyBench::tenant_share, 8, 11},
    {"qmgr_message_active_limit", &WhyBench::message_active_limit, 3, 2},
    {"qmgr_message_recipient_limit", &WhyBench::message_recipient_limit, 3, 3},
    {"transport_unavailable", &WhyBench::transport_unavailable, 0, 1, 60},
    {"transport_unavailable", &WhyBench::no_router, 0, 1, {}, "_no_router"},
    {"backoff", &WhyBench::put_off_by_the_router, 0, 0, 300, "_put_off_by_the_router"},
    {"delivery", &WhyBench::with_the_router, 0, 0, {}, "_with_the_router"},
    {"suspended", &WhyBench::suspended, 0, 2, 600},
    {"alone", &WhyBench::alone, 1, 1},
    {"hold", &WhyBench::hold},
    {"flush", &WhyBench::flush, 1, 1},
    {"defer_transports", &WhyBench::defer_transports},
    {"journal", &WhyBench::journal},
    {"stop", &WhyBench::stop, 0, 1},
    {"delivery", &WhyBench::delivery},
    {"turn", &WhyBench::turn},
    {"restart", &WhyBench::restart},
};

TEST_P(WhyBench, NamesTheLimitItsValueWhoElseWaitsAndUntilWhen) {
  const auto &expected = GetParam();
  const auto line = (this->*expected.line)();
  EXPECT_THAT(line, HasSubstr("\"why\":\"" + std::string{expected.limit} + "\""));
  EXPECT_NEAR(number_after(line, "value"), expected.value, 0.001) << line;
  EXPECT_EQ(number_after(line, "others"), expected.others) << line;
  if (!expected.eligible) {
    EXPECT_THAT(line, Not(HasSubstr("\"eligible\"")));
    return;
  }
  const auto at = clock_.wall() + static_cast<Nanos>(*expected.eligible * kSecond);
  EXPECT_THAT(line, HasSubstr("\"eligible\":\"" + rfc3339(at) + "\""));
}

INSTANTIATE_TEST_SUITE_P(Each, WhyBench, ::testing::ValuesIn(kWhyCases),
                         [](const auto &of) { return std::string{of.param.limit} + of.param.situation; });

// Whose mail else waits for the same.
class WhoElseWaits : public Bench {
 protected:
  config::Transport &smtp() { return settings_.transports.front(); }
  std::string why(MessageId id) { return ask("why", {}, {to_string(id)}).lines; }
  MessageId mail_of(const std::string &tenant, const std::string &to, const std::string &from = "s@example.org") {
    auto e = envelope({to}, from);
    e.tenant = tenant;
    return mail(e);
  }
};

TEST_F(WhoElseWaits, AtADestinationIsSaidByTenantAndSenderDomain) {
  begin();
  for (int i = 0; i < 9; ++i) mail_of("loud", "a@example.com", "list@loud.example");
  const auto id = mail_of("quiet", "a@example.com");
  const auto other = mail_of("quiet", "a@example.com");
  const auto line = why(id);
  EXPECT_THAT(line, HasSubstr("\"why\":\"destination_concurrency_limit\""));
  EXPECT_THAT(line, HasSubstr("\"others\":5,\"waiting\":{\"tenant\":[{\"name\":\"loud\",\"groups\":4},"
                              "{\"name\":\"quiet\",\"groups\":1}],"
                              "\"sender_domain\":[{\"name\":\"loud.example\",\"groups\":4},"
                              "{\"name\":\"example.org\",\"groups\":1}]}"));
  EXPECT_THAT(ask("why", {{"destination", "example.com"}}).lines, HasSubstr("\"waiting\":{\"tenant\":"));
  ask("delete", {}, {to_string(other)});
  EXPECT_THAT(why(id), HasSubstr("\"waiting\":{\"tenant\":[{\"name\":\"loud\",\"groups\":4}]"));
}

TEST_F(WhoElseWaits, ForAPartysRateIsSaidByDestination) {
  settings_.rate_limits.push_back({config::RateKey::Tenant, {}, "1/h", 1});
  begin();
  for (int i = 0; i < 3; ++i) mail_of("named", "a@one.example");
  const auto id = mail_of("named", "a@two.example");
  mail_of("other", "a@three.example");
  const auto line = why(id);
  EXPECT_THAT(line, HasSubstr("\"why\":\"tenant_rate_limit\""));
  EXPECT_THAT(line, HasSubstr("\"others\":2,\"waiting\":{\"destination\":[{\"name\":\"one.example\",\"groups\":2}]}"));
}

TEST_F(WhoElseWaits, ForASessionIsOnlyWhatNothingElseBinds) {
  smtp().process_limit = 6;
  begin();
  for (int i = 0; i < 10; ++i) mail_of("", "a@busy.example");  // five at once
  mail_of("", "a@one.example");
  mail_of("", "a@two.example");
  const auto line = why(mail_of("", "a@three.example"));
  EXPECT_THAT(line, HasSubstr("\"why\":\"transport_sessions\""));
  EXPECT_THAT(line, HasSubstr("\"others\":1,\"waiting\":{\"destination\":[{\"name\":\"two.example\",\"groups\":1}]}"));
}

TEST_F(WhoElseWaits, IsSaidOfTheFirstThousandAndOfThreeNamesAtMost) {
  begin();
  for (int i = 0; i < 1500; ++i) mail_of("t" + std::to_string(i % 5), "a@example.com");
  const auto line = why(mail_of("last", "a@example.com"));
  EXPECT_THAT(line, HasSubstr("\"others\":1495,\"waiting\":{\"looked_at\":1000,\"tenant\":["));
  EXPECT_THAT(line, Not(HasSubstr("\"name\":\"last\"")));
  const auto tenants = line.substr(line.find("\"tenant\":["), line.find(']') - line.find("\"tenant\":["));
  EXPECT_EQ(std::count(tenants.begin(), tenants.end(), '{'), 3);
}

TEST_F(WhoElseWaits, IsNotSaidWhereAllAreAlike) {
  begin();
  MessageId last;
  for (int i = 0; i < 8; ++i) last = mail_of("one", "a@example.com");
  EXPECT_THAT(why(last), HasSubstr("\"others\":2}"));
}

// What is answered of a destination, also where nothing is ready there.
class WhyOfADestination : public Bench {
 protected:
  config::Transport &smtp() { return settings_.transports.front(); }
  std::string why(const std::string &destination) { return ask("why", {{"destination", destination}}).lines; }
  static std::string found(int ready, int deferred, int held, int under_way) {
    return "\"found\":{\"ready\":" + std::to_string(ready) + ",\"deferred\":" + std::to_string(deferred) +
           ",\"held\":" + std::to_string(held) + ",\"under_way\":" + std::to_string(under_way) + "}";
  }
  std::string next(Nanos later) { return "\"eligible\":\"" + rfc3339(clock_.wall() + later) + "\""; }
  MessageId deferred(const std::string &to) {
    const auto id = mail_to({to});
    report(leases().at(0), DeliveryStatus::Deferred);
    return id;
  }
};

TEST_F(WhyOfADestination, ThatWaitsForItsNextAttemptIsTheEarliestOfThem) {
  begin();
  deferred("a@example.com");
  advance(100 * kSecond);
  deferred("b@example.com");
  deferred("c@example.net");
  const auto line = why("Example.COM");
  EXPECT_THAT(line, HasSubstr("\"why\":\"backoff\""));
  EXPECT_THAT(line, HasSubstr(found(0, 2, 0, 0)));
  EXPECT_THAT(line, HasSubstr(next(200 * kSecond)));
  EXPECT_THAT(line, HasSubstr("\"concurrency_limit\":20"));
}

TEST_F(WhyOfADestination, ThatIsDeadSaysUntilWhenThoughAllItsMailIsDeferred) {
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@example.com"});
  for (const auto &l : leases()) report(l, DeliveryStatus::Deferred, true);
  advance(100 * kSecond);
  const auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"dead_destination\",\"detail\":\"example.com\",\"others\":5"));
  EXPECT_THAT(line, HasSubstr("\"dead_until\":\"" + rfc3339(clock_.wall() + 200 * kSecond) + "\""));
  EXPECT_THAT(line, HasSubstr(next(200 * kSecond)));
}

TEST_F(WhyOfADestination, ThatIsSuspendedSaysUntilWhenAndHowMuchWaits) {
  begin();
  deferred("a@example.com");
  ask("suspend", {{"destination", "example.com"}, {"for", "10m"}, {"reason", "they move"}});
  auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"suspended\",\"detail\":\"destination example.com is suspended: they move\","
                              "\"others\":1"));
  EXPECT_THAT(line, HasSubstr(next(600 * kSecond)));
  ask("suspend", {{"destination", "example.com"}});
  line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"suspended\""));
  EXPECT_THAT(line, Not(HasSubstr("\"eligible\"")));
}

TEST_F(WhyOfADestination, WhoseMailIsHeldSaysSo) {
  begin();
  const auto id = deferred("a@example.com");
  ask("hold", {}, {to_string(id)});
  const auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"hold\""));
  EXPECT_THAT(line, HasSubstr(found(0, 0, 1, 0)));
}

TEST_F(WhyOfADestination, ShowsWhatIsUnderWay) {
  begin();
  mail_to({"a@example.com"});
  const auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"delivery\""));
  EXPECT_THAT(line, HasSubstr(found(0, 0, 0, 1)));
}

TEST_F(WhyOfADestination, ShowsAPaceAndAConcurrencyThatDoNotBindNow) {
  config::ResponseRule slow, lower;
  slow.code = {"421"};
  slow.action = config::ResponseAction::Slow;
  lower.code = {"452"};
  lower.action = config::ResponseAction::Concurrency;
  lower.concurrency = 2;
  settings_.responses = {slow, lower};
  begin();
  for (int i = 0; i < 5; ++i) mail_to({"a@example.com"});
  const auto l = leases();
  ASSERT_EQ(l.size(), 5u);
  for (std::size_t i = 0; i < 5; ++i) {
    auto refused = result(l[i], DeliveryStatus::Deferred);
    if (i == 0) refused.outcomes[0].smtp_code = 421;
    if (i == 4) refused.outcomes[0].smtp_code = 452;
    say(egress_, refused);
  }
  advance(10 * kSecond);
  const auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"why\":\"backoff\""));
  EXPECT_THAT(line, HasSubstr("\"adaptive_rate\":2.5"));
  EXPECT_LT(number_after(line, "concurrency"), 5);
}

TEST_F(WhyOfADestination, AnswersForADomainThatGoesByANextHop) {
  begin();
  for (const auto *domain : {"example.com", "example.net"}) {
    auto e = envelope({std::string{"a@"} + domain});
    e.routes = {{"smtp", "[192.0.2.9]:26"}};
    mail(e);
    report(leases().at(0), DeliveryStatus::Deferred);
  }
  const auto line = why("example.com");
  EXPECT_THAT(line, HasSubstr("\"destination\":\"[192.0.2.9]:26\",\"for\":\"example.com\""));
  EXPECT_THAT(line, HasSubstr("\"groups\":2"));
  EXPECT_THAT(line, HasSubstr(found(0, 1, 0, 0)));
  EXPECT_THAT(line, HasSubstr("\"why\":\"backoff\""));
  EXPECT_THAT(why("[192.0.2.9]:26"), HasSubstr(found(0, 2, 0, 0)));
}

TEST_F(WhyOfADestination, AnswersForTheFirstHundredMailboxesOfADomain) {
  smtp().destination_key = config::DestinationKey::Recipient;
  begin();
  for (int i = 0; i < 105; ++i) mail_to({"u" + std::to_string(i) + "@example.com"});
  EXPECT_THAT(why("u7@example.com"), HasSubstr("\"why\":\"delivery\""));
  const auto lines = why("example.com");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 100);
}

TEST_F(WhyOfADestination, WithNoMailThereSaysThat) {
  begin();
  mail_to({"a@example.com"});
  report(leases().at(0), DeliveryStatus::Sent);
  EXPECT_THAT(why("example.com"), HasSubstr("\"why\":\"nothing\""));
  EXPECT_EQ(why("nowhere.example"), "");
}

// In the first column of the table of docs/scheduling.md.
std::set<std::string> documented_limits() {
  std::ifstream file{std::string{MANSIO_SOURCE_DIR} + "/docs/scheduling.md"};
  std::set<std::string> names;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| `mansio queue why` says")) {
      inside = true;
      continue;
    }
    if (!inside) continue;
    if (!line.starts_with("| ")) break;
    const auto cell = line.substr(2, line.find(" | ") - 2);
    for (auto at = cell.find('`'); at != std::string::npos; at = cell.find('`', at)) {
      const auto end = cell.find('`', at + 1);
      const auto name = cell.substr(at + 1, end - at - 1);
      if (!name.starts_with('_')) names.insert(name);  // any limit with that ending
      at = end + 1;
    }
  }
  return names;
}

TEST(WhyTable, NamesWhatIsAnsweredAndNothingElse) {
  std::set<std::string> answered;
  for (const auto &c : kWhyCases) answered.insert(c.limit);
  EXPECT_EQ(documented_limits(), answered);
}

}  // namespace
}  // namespace mansio::queue
