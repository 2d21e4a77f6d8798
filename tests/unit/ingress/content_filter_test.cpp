// Listeners before and after a content filter: where their mail goes, and what receive_override_options leave out.
#include "kernel/ingress/route_policy.hpp"
#include "kernel/ingress/table_policy.hpp"
#include "tests/unit/ingress/fixture.hpp"
#include "tests/unit/route/fake_tables.hpp"

namespace mansio::ingress {
namespace {

using ::testing::ElementsAre;
using ::testing::StartsWith;

class ContentFilterTest : public testing::SmtpServerTest {
 protected:
  std::string send(testing::Peer &peer, const std::vector<std::string> &to) {
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
    for (const auto &each : to) EXPECT_EQ(say(peer, "RCPT TO:<" + each + ">\r\n"), "250 2.1.5 Ok\r\n") << each;
    EXPECT_THAT(say(peer, "DATA\r\n"), StartsWith("354 "));
    return say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  }
  const Envelope &envelope() const { return writer.stored_messages.back().envelope; }
};

TEST_F(ContentFilterTest, TakesTheMailOfAllRecipientsWhateverTheirRoutes) {
  service.smtpd.content_filter = "dspam:[127.0.0.1]:10024";
  auto peer = greet();
  EXPECT_THAT(send(peer, {"c@d.example", "e@f.two"}), StartsWith("250 2.0.0 Ok: queued"));
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"dspam", "[127.0.0.1]:10024"}));
  ASSERT_EQ(envelope().recipients.size(), 2u);
  for (const auto &recipient : envelope().recipients) EXPECT_EQ(recipient.route, 0);
}

TEST_F(ContentFilterTest, LeavesRoutesAloneWhereThereIsNone) {
  auto peer = greet();
  send(peer, {"c@d.example", "e@f.two"});
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"one", ""}, Route{"two", ""}));
}

TEST_F(ContentFilterTest, ComesAfterTheChecksOfRecipients) {
  service.smtpd.content_filter = "dspam";
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<nobody@d.example>\r\n"), StartsWith("550 5.1.1 "));
  EXPECT_THAT(say(peer, "RCPT TO:<x@elsewhere.example>\r\n"), StartsWith("554 5.7.1 "));
}

TEST_F(ContentFilterTest, TakesNoNulThatTheFilterMayDrop) {
  service.smtpd.content_filter = "dspam";
  auto peer = greet();
  const auto data = [&](std::string_view content) {
    say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
    return say(peer, content);
  };
  using namespace std::string_view_literals;
  // Without its NUL the second line would end the message for a filter.
  const auto content = "Subject: x\r\n\0.\r\nMAIL FROM:<b@b.example>\r\n.\r\n"sv;
  EXPECT_EQ(data(content), "550 5.6.0 Error: NUL in the message\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  EXPECT_EQ(say(peer, "BDAT 4 LAST\r\na\0\r\n"sv), "550 5.6.0 Error: NUL in the message\r\n");
  service.smtpd.content_filter.clear();
  EXPECT_THAT(data(content), StartsWith("250 2.0.0 Ok: queued"));
}

TEST_F(ContentFilterTest, AListenerBehindItNeedNotKnowRecipients) {
  service.smtpd.receive_override_options = {"no_unknown_recipient_checks", "no_header_body_checks"};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<nobody@d.example>\r\n"), "250 2.1.5 Ok\r\n");
  EXPECT_THAT(say(peer, "RCPT TO:<x@elsewhere.example>\r\n"), StartsWith("554 5.7.1 ")) << "it is no open relay";
}

class TablesBeforeAFilter : public ContentFilterTest {
 protected:
  TablesBeforeAFilter() {
    settings.mydestination = {"own.example"};
    settings.virtual_alias_domains = {"alias.example"};
    for (const auto *name : {"aliases", "users", "canonical", "bcc"}) settings.lookups.emplace_back().name = name;
    settings.transports.emplace_back().name = "out";
    settings.routes.emplace_back().transport = "out";
    settings.listeners.emplace_back().name = "smtp";
    settings.virtual_alias_maps = {"aliases"};
    settings.local_recipient_maps = {"users"};
    settings.canonical_maps = {"canonical"};
    settings.recipient_bcc_maps = {"bcc"};
    settings.always_bcc = "archive@own.example";
    tables_.tables["aliases"]["sales@own.example"] = "alice@own.example, bob@own.example";
    tables_.tables["aliases"]["info@alias.example"] = "alice@own.example";
    tables_.tables["users"]["alice@own.example"] = "x";
    tables_.tables["canonical"]["old@own.example"] = "alice@own.example";
    tables_.tables["canonical"]["a@b.example"] = "other@b.example";
    tables_.tables["bcc"]["alice@own.example"] = "watcher@own.example";
    service.smtpd.content_filter = "dspam:[127.0.0.1]:10024";
  }
  void SetUp() override {}
  testing::Peer open() {  // after the settings are made
    policy_ = std::make_unique<TablePolicy>(settings, std::vector<std::string>{}, loop, clock, log, tables_);
    server = std::make_unique<Server>(
        Environment{loop, clock, log, settings, 7, writer, policy, intake, census, nullptr, policy_.get()});
    return greet();
  }
  std::vector<std::string> stored() const {
    std::vector<std::string> out;
    for (const auto &r : envelope().recipients) out.push_back(r.address);
    return out;
  }
  std::string rcpt(testing::Peer &peer, const std::string &to) {
    say(peer, "RSET\r\nMAIL FROM:<a@b.example>\r\n");
    return say(peer, "RCPT TO:<" + to + ">\r\n");
  }

  route::testing::FakeTables tables_{loop};
  std::unique_ptr<TablePolicy> policy_;
};

TEST_F(TablesBeforeAFilter, MapAddressesIfNothingIsSaid) {
  auto peer = open();
  send(peer, {"sales@own.example"});
  EXPECT_THAT(stored(), ElementsAre("alice@own.example", "bob@own.example", "archive@own.example"));
  EXPECT_EQ(envelope().sender, "other@b.example");
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"dspam", "[127.0.0.1]:10024"}));
}

TEST_F(TablesBeforeAFilter, LeaveAddressesAsTheyAreWhereToldSoAndKnowThemAllTheSame) {
  service.smtpd.receive_override_options = {"no_address_mappings"};
  auto peer = open();
  send(peer, {"sales@own.example", "alice@own.example", "old@own.example", "info@alias.example"});
  EXPECT_THAT(stored(), ElementsAre("sales@own.example", "alice@own.example", "old@own.example", "info@alias.example"));
  EXPECT_EQ(envelope().sender, "a@b.example");
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"dspam", "[127.0.0.1]:10024"}));
  EXPECT_THAT(rcpt(peer, "carol@own.example"), StartsWith("550 5.1.1 "));
  EXPECT_THAT(rcpt(peer, "nobody@alias.example"), StartsWith("550 5.1.1 "));
}

TEST_F(TablesBeforeAFilter, AskForNothingWhereNeitherIsWanted) {
  service.smtpd.receive_override_options = {"no_address_mappings", "no_unknown_recipient_checks"};
  tables_.down = {"aliases", "users", "canonical", "bcc"};
  auto peer = open();
  send(peer, {"carol@own.example"});
  EXPECT_THAT(stored(), ElementsAre("carol@own.example"));
}

TEST_F(TablesBeforeAFilter, TakeUnknownRecipientsBehindOneAndMapTheOthers) {
  service.smtpd.receive_override_options = {"no_unknown_recipient_checks"};
  settings.always_bcc.clear();
  auto peer = open();
  send(peer, {"carol@own.example", "old@own.example", "nobody@alias.example"});
  EXPECT_THAT(stored(),
              ElementsAre("carol@own.example", "alice@own.example", "watcher@own.example", "nobody@alias.example"));
}

TEST_F(TablesBeforeAFilter, TakeWhomRoutesRefuseForGoodBehindOneAndNobodyElse) {
  service.smtpd.content_filter.clear();
  settings.always_bcc.clear();
  settings.lookups.emplace_back().name = "relocated";
  settings.relocated_maps = {"relocated"};
  tables_.tables["relocated"]["alice@own.example"] = "alice@new.example";
  auto peer = open();
  EXPECT_THAT(rcpt(peer, "alice@own.example"), StartsWith("550 5.1.6 "));
  service.smtpd.receive_override_options = {"no_unknown_recipient_checks"};
  say(peer, "RSET\r\n");
  send(peer, {"alice@own.example"});
  EXPECT_EQ(stored().front(), "alice@own.example");
  EXPECT_EQ(envelope().routes.at(envelope().recipients.front().route), Route{}) << "the router says what becomes of it";
  tables_.down = {"relocated"};
  EXPECT_THAT(rcpt(peer, "alice@own.example"), StartsWith("451 4.3.0 "));
}

TEST(RoutePolicyBehindAFilter, TakesUsersThatItDoesNotKnow) {
  config::Settings settings;
  settings.mydestination = {"own.example"};
  settings.local_recipients = {"alice"};
  settings.transports.emplace_back().name = "out";
  for (const auto *error : {"550 5.1.1 gone", "450 4.2.1 comes back"}) {
    auto &route = settings.routes.emplace_back();
    route.recipient = {*error == '5' ? "gone@own.example" : "away@own.example"};
    route.error = error;
  }
  settings.routes.emplace_back().transport = "out";
  RoutePolicy policy{settings, {}};
  const Client client;
  const config::Smtpd before;
  config::Smtpd behind;
  behind.receive_override_options = {"no_unknown_recipient_checks"};
  EXPECT_TRUE(policy.recipient(before, client, "a@b.example", "carol@own.example").refusal);
  const auto verdict = policy.recipient(behind, client, "a@b.example", "carol@own.example");
  EXPECT_FALSE(verdict.refusal);
  EXPECT_EQ(verdict.route.transport, "out");
  EXPECT_TRUE(policy.recipient(before, client, "a@b.example", "gone@own.example").refusal);
  const auto gone = policy.recipient(behind, client, "a@b.example", "gone@own.example");
  EXPECT_FALSE(gone.refusal);
  EXPECT_EQ(gone.address, "gone@own.example");
  EXPECT_EQ(gone.route, Route{}) << "the router returns it";
  EXPECT_TRUE(policy.recipient(behind, client, "a@b.example", "away@own.example").refusal) << "it may come again";
}

TEST(RoutePolicyOfAListener, AnswersUnknownUsersAsItSays) {
  config::Settings settings;
  settings.mydestination = {"own.example"};
  settings.local_recipients = {"alice"};
  settings.transports.emplace_back().name = "out";
  settings.routes.emplace_back().transport = "out";
  RoutePolicy policy{settings, {}};
  config::Smtpd smtpd;
  const auto reply = [&] { return to_string(*policy.recipient(smtpd, {}, "a@b.example", "carol@own.example").refusal); };
  EXPECT_EQ(reply(), "550 5.1.1 No such user here");
  smtpd.unknown_local_recipient_reject_code = 450;
  EXPECT_EQ(reply(), "450 4.1.1 No such user here");
}

}  // namespace
}  // namespace mansio::ingress
