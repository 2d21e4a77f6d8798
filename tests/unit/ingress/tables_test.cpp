// RCPT where tables have a say: the session waits for them, and what they say becomes replies and recipients.
#include "kernel/ingress/table_policy.hpp"

#include <netinet/in.h>

#include "tests/unit/ingress/filter_fixture.hpp"
#include "tests/unit/route/fake_tables.hpp"

namespace mansio::ingress {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class SessionTablesTest : public testing::SmtpServerTest {
 protected:
  SessionTablesTest() {
    settings.mydestination = {"own.example"};
    settings.relay_domains = {"relayed.example"};
    for (const auto *name : {"aliases", "users", "relayed", "access", "bcc", "domains"})
      settings.lookups.emplace_back().name = name;
    settings.transports.emplace_back().name = "out";
    settings.routes.emplace_back().transport = "out";
    settings.listeners.emplace_back().name = "smtp";
  }
  void SetUp() override {}
  // After the settings are made.
  testing::Peer open() {
    policy_ = std::make_unique<TablePolicy>(settings, std::vector<std::string>{}, loop, clock, log, tables_);
    server = std::make_unique<Server>(
        Environment{loop, clock, log, settings, 7, writer, policy, intake, census, nullptr, policy_.get()});
    return greet();
  }
  testing::Peer open_trusted() {
    open();
    service.smtpd.mynetworks = {*config::parse_network("127.0.0.0/8")};
    service.smtpd.client_name_lookup = false;
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    sockaddr_storage address{};
    auto &in = reinterpret_cast<sockaddr_in &>(address);
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->serve(service, io::UniqueFd{ends[0]}, address);
    testing::Peer peer{ends[1]};
    settle();
    peer.received();
    EXPECT_THAT(say(peer, "EHLO client.test\r\n"), StartsWith("250-mx.test\r\n"));
    return peer;
  }
  void begin_content(testing::Peer &peer) {
    EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@own.example>\r\nDATA\r\n"),
              "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
  }
  std::string &entry(const std::string &table, const std::string &key) { return tables_.tables[table][key]; }
  std::string rcpt(testing::Peer &peer, const std::string &to, const std::string &from = "a@b.example") {
    EXPECT_EQ(say(peer, "RSET\r\nMAIL FROM:<" + from + ">\r\n"), "250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n");
    return say(peer, "RCPT TO:<" + to + ">\r\n");
  }
  std::string send(testing::Peer &peer, const std::vector<std::string> &to, const std::string &from = "a@b.example") {
    EXPECT_EQ(say(peer, "MAIL FROM:<" + from + ">\r\n"), "250 2.1.0 Ok\r\n");
    for (const auto &each : to) EXPECT_EQ(say(peer, "RCPT TO:<" + each + ">\r\n"), "250 2.1.5 Ok\r\n") << each;
    EXPECT_THAT(say(peer, "DATA\r\n"), StartsWith("354 "));
    return say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  }
  std::vector<std::string> stored_recipients() const {
    std::vector<std::string> out;
    if (writer.stored_messages.empty()) return out;
    for (const auto &r : writer.stored_messages.back().envelope.recipients) out.push_back(r.address);
    return out;
  }
  const Envelope &envelope() const { return writer.stored_messages.back().envelope; }

  route::testing::FakeTables tables_{loop};
  std::unique_ptr<TablePolicy> policy_;
  testing::FakeFilter filter_;
};

TEST_F(SessionTablesTest, UsersThatNoTableHasAreUnknown) {
  settings.local_recipient_maps = {"users"};
  entry("users", "alice") = "x";
  entry("users", "bob@own.example") = "x";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "alice@own.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "bob@own.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "carol@own.example"), "550 5.1.1 No such user here\r\n");
  EXPECT_EQ(rcpt(peer, "x@elsewhere.example"), "554 5.7.1 Relay access denied\r\n");
  EXPECT_EQ(rcpt(peer, "x@relayed.example"), "250 2.1.5 Ok\r\n");
}

TEST_F(SessionTablesTest, ATableThatIsDownMeansTryLaterAndNotUnknown) {
  settings.local_recipient_maps = {"users"};
  tables_.down = {"users"};
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "alice@own.example"), "451 4.3.0 Temporary lookup failure\r\n");
  EXPECT_THAT(sink.text, HasSubstr("connection refused"));
  tables_.down.clear();
  entry("users", "alice") = "x";
  EXPECT_EQ(rcpt(peer, "alice@own.example"), "250 2.1.5 Ok\r\n");
}

TEST_F(SessionTablesTest, TheCodeOfAnUnknownUserIsTheListeners) {
  settings.local_recipient_maps = {"users"};
  service.smtpd.unknown_local_recipient_reject_code = 450;
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "carol@own.example"), "450 4.1.1 No such user here\r\n");
}

TEST_F(SessionTablesTest, TheListOfTheSettingsCountsBesideTables) {
  settings.local_recipients = {"dave"};
  settings.local_recipient_maps = {"users"};
  settings.recipient_delimiter = "+";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "dave@own.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "dave+x@own.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "carol@own.example"), "550 5.1.1 No such user here\r\n");
}

TEST_F(SessionTablesTest, RelayedRecipientsAreThoseOfTheirTables) {
  settings.relay_recipient_maps = {"relayed"};
  entry("relayed", "alice@relayed.example") = "x";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "alice@relayed.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "bob@relayed.example"), "550 5.1.1 No such user here\r\n");
  EXPECT_EQ(rcpt(peer, "anyone@own.example"), "250 2.1.5 Ok\r\n");
}

TEST_F(SessionTablesTest, DomainsOfTablesAreOwn) {
  settings.mydestination_maps = settings.relay_domain_maps = {"domains"};
  entry("domains", "new.example") = "x";
  entry("domains", ".below.example") = "x";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "u@new.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "u@a.below.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "u@below.example"), "554 5.7.1 Relay access denied\r\n");
  tables_.down = {"domains"};
  EXPECT_EQ(rcpt(peer, "u@other.example"), "451 4.3.0 Temporary lookup failure\r\n");
  EXPECT_EQ(rcpt(peer, "u@own.example"), "250 2.1.5 Ok\r\n");
}

TEST_F(SessionTablesTest, PostmasterIsTakenWithoutAnEntry) {
  settings.local_recipient_maps = {"users"};
  settings.postmaster = "admin@own.example";
  auto peer = open();
  EXPECT_THAT(send(peer, {"postmaster@own.example"}), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("admin@own.example"));
  EXPECT_THAT(send(peer, {"postmaster"}), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("admin@own.example"));
}

TEST_F(SessionTablesTest, AliasesAreExpandedBeforeTheMessageIsTaken) {
  settings.virtual_alias_maps = {"aliases"};
  settings.local_recipient_maps = {"users"};
  entry("aliases", "team@own.example") = "alice@own.example, bob@away.example";
  auto peer = open();
  EXPECT_EQ(say(peer,
                "MAIL FROM:<a@b.example>\r\n"
                "RCPT TO:<team@own.example> NOTIFY=SUCCESS ORCPT=rfc822;team@own.example\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
  EXPECT_THAT(say(peer, "x\r\n.\r\n"), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("alice@own.example", "bob@away.example"));
  for (const auto &r : envelope().recipients) {
    EXPECT_EQ(r.original, "team@own.example");
    EXPECT_EQ(r.orcpt, "rfc822;team@own.example");
    EXPECT_EQ(r.notify, kNotifySuccess);
    EXPECT_EQ(envelope().routes.at(r.route).transport, "out");
  }
}

TEST_F(SessionTablesTest, OneRecipientIsDeliveredOnceHoweverItIsNamed) {
  settings.virtual_alias_maps = {"aliases"};
  entry("aliases", "info@own.example") = "alice@own.example";
  auto peer = open();
  EXPECT_THAT(send(peer, {"alice@own.example", "info@own.example", "alice@own.example"}), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("alice@own.example"));
}

TEST_F(SessionTablesTest, EveryAddressOfAnAliasDomainIsAnAlias) {
  settings.virtual_alias_maps = {"aliases"};
  settings.virtual_alias_domains = {"virtual.example"};
  entry("aliases", "info@virtual.example") = "alice@own.example";
  entry("aliases", "lost@virtual.example") = "nobody@virtual.example";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "info@virtual.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "other@virtual.example"), "550 5.1.1 No such user here\r\n");
  EXPECT_EQ(rcpt(peer, "lost@virtual.example"), "550 5.1.1 User unknown in virtual alias table\r\n");
}

TEST_F(SessionTablesTest, OneMemberThatIsRefusedDoesNotRefuseTheList) {
  settings.virtual_alias_maps = {"aliases"};
  settings.routes.front().transport = "out";
  settings.routes.insert(settings.routes.begin(), config::RouteRule{})->error = "550 5.1.2 no such domain";
  settings.routes.front().domain = {"gone.example"};
  entry("aliases", "team@own.example") = "alice@own.example, bob@gone.example";
  auto peer = open();
  EXPECT_THAT(send(peer, {"team@own.example"}), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("alice@own.example", "bob@gone.example"));
  EXPECT_EQ(envelope().routes.at(envelope().recipients[1].route), (Route{}));
  entry("aliases", "bob@own.example") = "bob@gone.example";
  EXPECT_EQ(rcpt(peer, "bob@own.example"), "550 5.1.2 no such domain\r\n");
}

TEST_F(SessionTablesTest, ClientHeloSenderAndRecipientAreAskedForInThisOrder) {
  auto &smtpd = settings.listeners[0].smtpd;
  smtpd.client_access_maps = smtpd.helo_access_maps = smtpd.sender_access_maps =
      smtpd.recipient_access_maps = {"access"};
  settings.lookups[3].partial_keys = false;
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "u@own.example"), "250 2.1.5 Ok\r\n");
  EXPECT_THAT(tables_.asked, ElementsAre("access:unknown", "access:unix", "access:client.test", "access:a@b.example",
                                         "access:u@own.example"));
  tables_.asked.clear();
  EXPECT_EQ(say(peer, "RCPT TO:<v@own.example>\r\n"), "250 2.1.5 Ok\r\n");
  EXPECT_THAT(tables_.asked, ElementsAre("access:v@own.example"));
}

TEST_F(SessionTablesTest, AccessRefusesAtRcpt) {
  auto &smtpd = settings.listeners[0].smtpd;
  smtpd.helo_access_maps = smtpd.sender_access_maps = {"access"};
  entry("access", "bad.example") = "REJECT";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "u@own.example", "x@bad.example"),
            "554 5.7.1 <x@bad.example>: Sender address rejected: Access denied\r\n");
  EXPECT_EQ(rcpt(peer, "u@own.example"), "250 2.1.5 Ok\r\n");
  entry("access", "client.test") = "521 5.7.1 bye";
  say(peer, "EHLO client.test\r\n");
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_EQ(say(peer, "RCPT TO:<u@own.example>\r\n"), "521 5.7.1 <client.test>: Helo command rejected: bye\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(SessionTablesTest, AnOkInATableOpensNoRelay) {
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  entry("access", "elsewhere.example") = "OK";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "u@elsewhere.example"), "554 5.7.1 Relay access denied\r\n");
}

TEST_F(SessionTablesTest, ConditionalDeferralsTurnTheFinalReply) {
  settings.listeners[0].smtpd.sender_access_maps = {"access"};
  settings.local_recipient_maps = {"users"};
  entry("users", "alice") = "x";
  entry("access", "a@b.example") = "DEFER_IF_PERMIT later";
  entry("access", "c@b.example") = "DEFER_IF_REJECT later";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "alice@own.example"), "450 4.7.1 <a@b.example>: Sender address rejected: later\r\n");
  EXPECT_EQ(rcpt(peer, "bob@own.example"), "550 5.1.1 No such user here\r\n");
  EXPECT_EQ(rcpt(peer, "alice@own.example", "c@b.example"), "250 2.1.5 Ok\r\n");
  EXPECT_EQ(rcpt(peer, "bob@own.example", "c@b.example"),
            "450 4.7.1 <c@b.example>: Sender address rejected: later\r\n");
}

TEST_F(SessionTablesTest, DiscardTakesTheMessageAndDropsIt) {
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  entry("access", "trap@own.example") = "DISCARD";
  auto peer = open();
  EXPECT_EQ(send(peer, {"alice@own.example", "trap@own.example"}), "250 2.0.0 Ok\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_THAT(sink.text, HasSubstr("\"discarded\""));
  EXPECT_THAT(send(peer, {"alice@own.example"}), HasSubstr("queued as"));
}

TEST_F(SessionTablesTest, HoldPrependBccAndRedirectChangeTheMessage) {
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  entry("access", "a@own.example") = "HOLD";
  entry("access", "b@own.example") = "PREPEND X-Seen: yes";
  entry("access", "c@own.example") = "BCC archive@own.example";
  entry("access", "d@own.example") = "REDIRECT review@own.example";
  auto peer = open();
  send(peer, {"a@own.example", "b@own.example", "c@own.example"});
  EXPECT_EQ(envelope().hold_until, INT64_MAX);
  EXPECT_THAT(writer.stored_messages.back().prefix, StartsWith("X-Seen: yes\r\nReceived: "));
  EXPECT_EQ(envelope().body.size,
            writer.stored_messages.back().prefix.size() + writer.stored_messages.back().body.size());
  EXPECT_THAT(stored_recipients(),
              ElementsAre("a@own.example", "b@own.example", "c@own.example", "archive@own.example"));
  EXPECT_EQ(envelope().recipients.back().notify, kNotifyNever);
  send(peer, {"x@own.example", "d@own.example"});
  EXPECT_THAT(stored_recipients(), ElementsAre("review@own.example"));
  EXPECT_EQ(envelope().hold_until, 0);
}

TEST_F(SessionTablesTest, ARedirectedMessageHasNoVersions) {
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  entry("access", "d@own.example") = "REDIRECT review@own.example";
  filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] =
      testing::edits_of({{EditKind::Version, 1, "", "x@own.example"},
                         {EditKind::Version, 1, "", "d@own.example"},
                         {EditKind::AddHeader, 0, "X", "of the version", 1},
                         {EditKind::AddHeader, 0, "X", "of all"}});
  service.filters = testing::chain_of({{&filter_, "filter.f", config::OnFailure::Defer, kSecond, kSecond}});
  auto peer = open();
  EXPECT_THAT(send(peer, {"x@own.example", "d@own.example"}), StartsWith("250 "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_THAT(stored_recipients(), ElementsAre("review@own.example"));
  EXPECT_EQ(writer.stored_messages[0].body, "Subject: x\r\nX: of all\r\n\r\nbody\r\n");
}

TEST_F(SessionTablesTest, FilterSendsTheWholeMessageThereAndIsRemembered) {
  settings.transports.emplace_back().name = "scan";
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  service.smtpd.content_filter = "out:listeners";
  entry("access", "a@own.example") = "FILTER scan:[127.0.0.1]:10025";
  auto peer = open();
  send(peer, {"x@own.example", "a@own.example"});
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"scan", "[127.0.0.1]:10025"}));
  EXPECT_EQ(envelope().recipients.at(0).route, 0);
  EXPECT_EQ(envelope().content_filter, "scan:[127.0.0.1]:10025");
  send(peer, {"x@own.example"});
  EXPECT_THAT(envelope().routes, ElementsAre(Route{"out", "listeners"}));
  EXPECT_EQ(envelope().content_filter, "");
}

TEST_F(SessionTablesTest, RestrictionsLetOwnClientsPass) {
  settings.listeners[0].smtpd.sender_access_maps = {"access"};
  entry("access", "own.example") = "permit_mynetworks, reject";
  auto peer = open_trusted();
  EXPECT_EQ(rcpt(peer, "x@own.example", "boss@own.example"), "250 2.1.5 Ok\r\n");
}

TEST_F(SessionTablesTest, RestrictionsRefuseOthers) {
  settings.listeners[0].smtpd.sender_access_maps = {"access"};
  entry("access", "own.example") = "permit_mynetworks, reject";
  auto peer = open();
  EXPECT_EQ(rcpt(peer, "x@own.example", "boss@own.example"),
            "554 5.7.1 <boss@own.example>: Sender address rejected: Access denied\r\n");
}

TEST_F(SessionTablesTest, FilterTakesNoNul) {
  settings.listeners[0].smtpd.recipient_access_maps = {"access"};
  entry("access", "x@own.example") = "FILTER out:scan";
  auto peer = open();
  begin_content(peer);
  EXPECT_EQ(say(peer, std::string_view{"a\0b\r\n.\r\n", 8}), "550 5.6.0 Error: NUL in the message\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(SessionTablesTest, CopiesGoToAlwaysBccAndThoseOfTheMaps) {
  settings.always_bcc = "all@own.example";
  settings.sender_bcc_maps = settings.recipient_bcc_maps = {"bcc"};
  entry("bcc", "a@b.example") = "senders@own.example";
  entry("bcc", "x@own.example") = "recipients@own.example";
  auto peer = open();
  send(peer, {"x@own.example", "y@own.example"});
  EXPECT_THAT(stored_recipients(), ElementsAre("x@own.example", "recipients@own.example", "senders@own.example",
                                               "all@own.example", "y@own.example"));
}

TEST_F(SessionTablesTest, CanonicalAddressesTakeThePlaceOfThoseGiven) {
  settings.canonical_maps = {"aliases"};
  settings.local_recipient_maps = {"users"};
  entry("aliases", "wietse@own.example") = "W.Venema@own.example";
  entry("aliases", "a@b.example") = "A.Sender@b.example";
  auto peer = open();
  EXPECT_THAT(send(peer, {"wietse@own.example"}), StartsWith("250 "));
  EXPECT_THAT(stored_recipients(), ElementsAre("W.Venema@own.example"));
  EXPECT_EQ(envelope().sender, "A.Sender@b.example");
  settings.canonical_classes = {"envelope_recipient"};
  auto other = open();
  EXPECT_THAT(send(other, {"wietse@own.example"}), StartsWith("250 "));
  EXPECT_EQ(envelope().sender, "a@b.example");
}

TEST_F(SessionTablesTest, HeadersOfTrustedClientsAreRewritten) {
  settings.canonical_maps = {"aliases"};
  entry("aliases", "wietse@own.example") = "W.Venema@own.example";
  auto peer = open();
  const std::string content =
      "From: Wietse <wietse@own.example>\r\nTo: a@b.example,\r\n wietse@own.example (me)\r\n"
      "Subject: wietse@own.example\r\n\r\nTo: wietse@own.example\r\n";
  begin_content(peer);
  EXPECT_THAT(say(peer, content + ".\r\n"), StartsWith("250 "));
  EXPECT_EQ(writer.stored_messages.back().body, content);  // a stranger's message is left as it is
  auto friendly = open_trusted();
  begin_content(friendly);
  // In pieces, as a network brings it.
  say(friendly, content.substr(0, 30));
  say(friendly, content.substr(30, 60));
  EXPECT_THAT(say(friendly, content.substr(90) + ".\r\n"), StartsWith("250 "));
  EXPECT_EQ(writer.stored_messages.back().body,
            "From: Wietse <W.Venema@own.example>\r\nTo: a@b.example,\r\n W.Venema@own.example (me)\r\n"
            "Subject: wietse@own.example\r\n\r\nTo: wietse@own.example\r\n");
}

TEST_F(SessionTablesTest, AHeaderThatNoTableCanRewriteNowComesAgain) {
  settings.canonical_maps = {"aliases"};
  settings.canonical_classes = {"header_sender"};
  auto peer = open_trusted();
  begin_content(peer);
  tables_.down = {"aliases"};
  EXPECT_EQ(say(peer, "From: a@b.example\r\n\r\nx\r\n.\r\n"), "451 4.3.0 Temporary lookup failure\r\n");
  begin_content(peer);
  EXPECT_THAT(say(peer, "To: a@b.example\r\n.\r\n"), StartsWith("250 "));  // all header, and no sender in it
  EXPECT_EQ(writer.stored_messages.back().body, "To: a@b.example\r\n");
}

TEST_F(SessionTablesTest, PipelinedRecipientsAreAnsweredInOrder) {
  settings.local_recipient_maps = {"users"};
  entry("users", "alice") = "x";
  auto peer = open();
  EXPECT_EQ(
      say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<bob@own.example>\r\nRCPT TO:<alice@own.example>\r\nDATA\r\n"),
      "250 2.1.0 Ok\r\n550 5.1.1 No such user here\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
}

TEST_F(SessionTablesTest, ASenderIsForTheLoginsThatTheTablesName) {
  settings.listeners.back().smtpd.sender_login_maps = {"users"};
  entry("users", "alice@own.example") = "alice, boss";
  entry("users", "@sales.example") = "bob";
  open();
  const auto ask = [&](const std::string &login, const std::string &sender, const std::string &to = "x@own.example") {
    Client client;
    client.sasl_username = login;
    route::ScreeningMemory memory;
    std::optional<TableVerdict> verdict;
    const TableQuestion question{service, client, "client.test", sender, to, true};
    asio::co_spawn(loop, policy_->recipient(question, memory),
                   [&](std::exception_ptr, TableVerdict said) { verdict = std::move(said); });
    settle();
    if (!verdict) return std::string{"no verdict"};
    return verdict->refusal ? to_string(*verdict->refusal) : std::string{};
  };
  EXPECT_EQ(ask("alice", "alice@own.example"), "");
  EXPECT_EQ(ask("BOSS", "alice@own.example"), "");
  EXPECT_EQ(ask("bob", "anybody@sales.example"), "");
  EXPECT_EQ(ask("bob", "alice@own.example"),
            "553 5.7.1 <alice@own.example>: Sender address rejected: not owned by user bob");
  EXPECT_THAT(ask("alice", "free@other.example"), StartsWith("553 5.7.1 "));
  EXPECT_EQ(ask("alice", ""), "");
  EXPECT_EQ(ask("", "alice@own.example"), "");
  EXPECT_EQ(ask("alice", "alice@own.example", "x@elsewhere.example"), "");
  EXPECT_EQ(ask("", "alice@own.example", "x@elsewhere.example"), "554 5.7.1 Relay access denied");
  service.smtpd.reject_unauthenticated_sender_login_mismatch = true;
  EXPECT_EQ(ask("", "alice@own.example"), "553 5.7.1 <alice@own.example>: Sender address rejected: not logged in");
  EXPECT_EQ(ask("", "free@other.example"), "");
  tables_.down = {"users"};
  EXPECT_EQ(ask("alice", "alice@own.example"), "451 4.3.0 Temporary lookup failure");
}

TEST(TablePolicyNeeded, OnlyWhereATableHasASay) {
  config::Settings settings;
  settings.lookups.emplace_back().name = "t";
  settings.listeners.emplace_back();
  EXPECT_FALSE(TablePolicy::needed(settings));
  settings.listeners[0].smtpd.helo_access_maps = {"t"};
  EXPECT_TRUE(TablePolicy::needed(settings));
  settings.listeners[0].smtpd = {};
  EXPECT_FALSE(TablePolicy::needed(settings));
  settings.listeners[0].smtpd.sender_login_maps = {"t"};
  EXPECT_TRUE(TablePolicy::needed(settings));
  settings = {};
  settings.always_bcc = "a@b.example";
  EXPECT_TRUE(TablePolicy::needed(settings));
}

}  // namespace
}  // namespace mansio::ingress
