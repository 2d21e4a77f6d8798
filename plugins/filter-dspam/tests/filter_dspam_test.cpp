// filter-dspam on the fake host with a scripted daemon: what becomes of spam, whose verdict counts, corrections, and
// that whatever cannot be had from DSPAM is a failure and no verdict.
#include <gmock/gmock.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <map>

#include "mansio/testing/fake_host.hpp"
#include "plugins/filter-dspam/connection.hpp"
#include "plugins/filter-dspam/tests/daemon.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using namespace mansio::dspam::testing;
using mansio::testing::FakeHost;
using mansio::testing::FakeResult;
using mansio::testing::FakeStage;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr auto kInnocent = "From: a@example.com\r\nSubject: one\r\n\r\nbody\r\n";
constexpr auto kSpam = "From: a@example.com\r\nSubject: one\r\n\r\nviagra\r\n";

// Spam is what has "viagra" in it; each user's signature is the user's name without marks.
std::string judge(const Transaction &t) {
  std::string signature;
  for (const char c : t.user)
    if (std::isalnum(static_cast<unsigned char>(c))) signature += c;
  return summary(t.user, t.content.find("viagra") != t.content.npos, signature);
}

FakeHost::Options options(const Daemon &daemon, FakeHost::Options more = {}) {
  more.emplace("server", daemon.address());
  more.emplace("ident", "mansio");
  more.emplace("password", "secret");
  return more;
}

struct Mail {
  std::string content = kInnocent;
  std::vector<std::string> recipients{"bob@Example.com"};
  std::string sender = "a@example.com";
  bool trusted = true;
  std::vector<std::string> refused{};  // by somebody after the filter
};

// A transaction as ingress shows it.
FakeResult send(FakeHost &host, const Mail &mail) {
  FakeStage stage;
  stage.macros = {{"sender", mail.sender}};
  if (mail.trusted) stage.macros.emplace_back("client_trusted", "true");
  stage.stage = MANSIO_STAGE_MAIL;
  stage.arguments = {mail.sender};
  host.run(stage);
  stage.stage = MANSIO_STAGE_RCPT;
  for (const auto &recipient : mail.recipients) {
    stage.arguments = {recipient};
    const auto result = host.run(stage);
    EXPECT_EQ(result.last->status, MANSIO_OK);
    if (std::find(mail.refused.begin(), mail.refused.end(), recipient) != mail.refused.end()) continue;
    for (const auto &[name, value] : result.message_meta) stage.message_meta[name] = value;
  }
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.arguments = {};
  stage.content = mail.content;
  auto result = host.run(stage);
  EXPECT_THAT(host.faults, IsEmpty());
  return result;
}

struct FilterDspam : ::testing::Test {
  Daemon daemon{judge};
  FakeResult once(FakeHost::Options more, const Mail &mail) {
    FakeHost host{mansio_plugin_entry_1(), options(daemon, std::move(more))};
    return send(host, mail);
  }
};

TEST_F(FilterDspam, MarksInnocentMailWithWhatDspamSays) {
  const auto result = once({}, {});
  EXPECT_EQ(result.last->status, MANSIO_OK);
  EXPECT_THAT(result.edits,
              ElementsAre("add_header X-DSPAM-Result: Innocent", "add_header X-DSPAM-Confidence: 0.97",
                          "add_header X-DSPAM-Probability: 0.0000", "add_header X-DSPAM-Signature: bobexamplecom"));
  const auto seen = daemon.transactions();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].from, "secret@mansio");
  EXPECT_EQ(seen[0].parameters, "--process --deliver=summary --stdout");
  EXPECT_EQ(seen[0].user, "bob@example.com");
  EXPECT_EQ(seen[0].content, kInnocent);
}

TEST_F(FilterDspam, DoesWithSpamWhatItIsToldTo) {
  const auto tagged = once({{"spam_header", "X-Spam-Flag: YES"}}, {.content = kSpam});
  EXPECT_THAT(tagged.edits, ElementsAre("change_header 1 Subject: [SPAM] one", "add_header X-DSPAM-Result: Spam",
                                        "add_header X-DSPAM-Confidence: 0.97", "add_header X-DSPAM-Probability: 1.0000",
                                        "add_header X-Spam-Flag: YES", "add_header X-DSPAM-Signature: bobexamplecom"));
  const auto held = once({{"spam_action", "quarantine"}}, {.content = kSpam});
  EXPECT_EQ(held.last->status, MANSIO_OK);
  EXPECT_THAT(held.edits, Contains("hold DSPAM calls it spam for bob@example.com"));
  EXPECT_THAT(held.edits, Not(Contains(HasSubstr("Subject"))));
  const auto refused = once({{"spam_action", "reject"}, {"reject_text", "no, thank you"}}, {.content = kSpam});
  EXPECT_EQ(refused.last->status, MANSIO_FAIL);
  EXPECT_EQ(refused.last->enhanced, "5.7.1");
  EXPECT_EQ(refused.last->text, "no, thank you");
  EXPECT_THAT(once({{"spam_action", "accept"}}, {.content = kSpam}).edits, Contains("add_header X-DSPAM-Result: Spam"));
}

TEST_F(FilterDspam, RemovesFieldsFromOutsideThatOnlyItMayWrite) {
  const auto result = once(
      {{"spam_header", "X-Spam-Flag: YES"}},
      {.content = "X-DSPAM-Result: Innocent\r\nx-dspam-result: Innocent\r\nX-DSPAM-User: eve\r\nX-SPAM-FLAG: NO\r\n"
                  "X-Other: 1\r\n\r\nbody\r\n"});
  ASSERT_GE(result.edits.size(), 4u);
  EXPECT_THAT(std::vector<std::string>(result.edits.begin(), result.edits.begin() + 4),
              ElementsAre("delete_header 1 X-SPAM-FLAG", "delete_header 1 X-DSPAM-User",
                          "delete_header 2 x-dspam-result", "delete_header 1 X-DSPAM-Result"));
  // Also of mail that nobody looks at.
  EXPECT_THAT(once({{"max_size", "10"}}, {.content = "X-DSPAM-Result: Innocent\r\n\r\nbody\r\n"}).edits,
              ElementsAre("delete_header 1 X-DSPAM-Result"));
}

TEST_F(FilterDspam, ShowsNoLargeMail) {
  EXPECT_EQ(once({{"max_size", "10"}}, {.content = kSpam}).last->status, MANSIO_OK);
  EXPECT_THAT(daemon.transactions(), IsEmpty());
}

TEST_F(FilterDspam, StuffsDotsAndSendsLargeMailWhole) {
  std::string content = "Subject: x\r\n\r\n.\r\n..\r\n.x\r\n";
  for (int i = 0; i < 20'000; ++i) content += "." + std::string(76, 'x') + "\r\n";
  EXPECT_EQ(once({}, {.content = content}).last->status, MANSIO_OK);
  ASSERT_EQ(daemon.transactions().size(), 1u);
  EXPECT_TRUE(daemon.transactions()[0].content == content);
}

TEST_F(FilterDspam, StuffsTheDotsThatDspamSees) {
  const std::string content("Subject: x\r\n\r\n\0.\r\nviagra\r\n", 26);
  EXPECT_THAT(once({}, {.content = content}).edits, Contains("add_header X-DSPAM-Result: Spam"));
  using namespace std::string_view_literals;
  mansio::dspam::DotStuffer stuffer;
  EXPECT_EQ(stuffer.add("\0.\r\n"sv), "..\r\n");
  EXPECT_EQ(stuffer.add("a\0\r\0"sv), "a\r");
  EXPECT_EQ(stuffer.add("\n\0\0."sv), "\n..");
  EXPECT_EQ(stuffer.end(), "\r\n.\r\n");
}

TEST_F(FilterDspam, AsksForEachUserOnceAndUsesItsConnectionAgain) {
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  const auto result = send(host, {.recipients = {"bob@example.com", "bob@EXAMPLE.com", "eve@example.com"}});
  EXPECT_THAT(result.edits, Contains("add_header X-DSPAM-Signature: bobexamplecom"));
  EXPECT_THAT(result.edits, Contains("add_header X-DSPAM-Signature: eveexamplecom"));
  send(host, {});
  EXPECT_EQ(daemon.transactions().size(), 3u);
  EXPECT_EQ(daemon.connections(), 1u);
  // One that has gone meanwhile is replaced.
  daemon.drop();
  EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
  EXPECT_EQ(daemon.connections(), 2u);
}

TEST_F(FilterDspam, TakesNoRecipientThatSomebodyElseRefused) {
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  send(host, {.recipients = {"x@example.com", "bob@example.com", "y@example.com"},
              .refused = {"x@example.com", "y@example.com"}});
  ASSERT_EQ(daemon.transactions().size(), 1u);
  EXPECT_EQ(daemon.transactions()[0].user, "bob@example.com");
}

TEST_F(FilterDspam, FailsWhereItHasNotSeenTheRecipients) {
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  EXPECT_EQ(host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = kInnocent}).last->status, MANSIO_INTERNAL);
  host.abort("test.1", "0123456789ABC");
  host.run({.stage = MANSIO_STAGE_DISCONNECT});
}

TEST(FilterDspamMixed, CountsTheVerdictsAsConfigured) {
  // Spam for bob alone.
  Daemon daemon{[](const Transaction &t) { return summary(t.user, t.user == "bob@example.com", "5a"); }};
  const Mail mail{.recipients = {"eve@example.com", "bob@example.com"}};
  const std::map<std::string, bool> tagged{{"first", false}, {"any", true}, {"all", false}};
  for (const auto &[rule, expected] : tagged) {
    FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"mixed", rule}})};
    const auto result = send(host, mail);
    const bool is = std::find(result.edits.begin(), result.edits.end(), "change_header 1 Subject: [SPAM] one") !=
                    result.edits.end();
    EXPECT_EQ(is, expected) << rule;
  }
}

TEST_F(FilterDspam, DoesWhatRecipientsWant) {
  FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"preferences", "wants"}, {"spam_action", "reject"}})};
  host.tables[{"wants", "bob@example.com"}] = {MANSIO_OK, {"spamAction=tag,spamSubject=[JUNK]"}, ""};
  host.tables[{"wants", "eve@example.com"}] = {MANSIO_OK, {"enable=no"}, ""};
  host.tables[{"wants", "odd@example.com"}] = {MANSIO_OK, {"spamAction=explode"}, ""};
  host.tables[{"wants", "down@example.com"}] = {MANSIO_DEFER, {}, "no server"};
  EXPECT_THAT(send(host, {.content = kSpam}).edits, Contains("change_header 1 Subject: [JUNK] one"));
  EXPECT_THAT(send(host, {.content = kSpam, .recipients = {"eve@example.com"}}).edits, IsEmpty());
  EXPECT_EQ(daemon.transactions().size(), 1u);
  EXPECT_EQ(send(host, {.content = kSpam, .recipients = {"joe@example.com"}}).last->status, MANSIO_FAIL);
  EXPECT_THAT(send(host, {.recipients = {"odd@example.com"}}).last->text, HasSubstr("explode"));
  EXPECT_EQ(send(host, {.recipients = {"down@example.com"}}).last->status, MANSIO_INTERNAL);
}

TEST_F(FilterDspam, AsksForOneUserOfAll) {
  once({{"user", "shared"}, {"training_mode", "toe"}, {"operation", "classify"}},
       {.recipients = {"bob@example.com", "eve@example.com"}});
  ASSERT_EQ(daemon.transactions().size(), 1u);
  EXPECT_EQ(daemon.transactions()[0].user, "shared");
  EXPECT_EQ(daemon.transactions()[0].parameters, "--classify --deliver=summary --stdout --mode=toe");
}

TEST_F(FilterDspam, FailsWithoutAnAnswer) {
  FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"server", "127.0.0.1:1"}})};
  const auto down = send(host, {});
  EXPECT_EQ(down.last->status, MANSIO_INTERNAL);
  EXPECT_THAT(down.last->text, HasSubstr("127.0.0.1:1"));
  const auto wrong = once({{"password", "guess"}}, {});
  EXPECT_EQ(wrong.last->status, MANSIO_INTERNAL);
  EXPECT_THAT(wrong.last->text, HasSubstr("Authentication"));
  EXPECT_THAT(wrong.last->text, Not(HasSubstr("guess")));
}

TEST_F(FilterDspam, MakesAUserOfWhateverIsARecipient) {
  EXPECT_EQ(once({}, {.recipients = {"-x@example.com"}}).last->status, MANSIO_OK);
  EXPECT_EQ(once({}, {.recipients = {"Bob+Lists@example.com"}}).last->status, MANSIO_OK);
  const FakeHost::Options short_names{{"recipient_delimiter", "+"}, {"user", "{local}"}};
  EXPECT_EQ(once(short_names, {.recipients = {"Bob+X@example.com"}}).last->status, MANSIO_OK);
  EXPECT_EQ(once({{"fold_case", "false"}}, {.recipients = {"Bob@example.com"}}).last->status, MANSIO_OK);
  std::vector<std::string> users;
  for (const auto &t : daemon.transactions()) users.push_back(t.user);
  EXPECT_THAT(users, ElementsAre("_x@example.com", "bob+lists@example.com", "bob", "Bob@example.com"));
}

TEST_F(FilterDspam, CannotBeMadeToFailByASender) {
  const std::string nul("Subject: a\0b\r\n\r\nviagra\r\n", 24);
  EXPECT_THAT(once({}, {.content = nul}).edits, Contains("change_header 1 Subject: [SPAM]"));
  EXPECT_EQ(once({}, {.content = "X-DSPAM-\xff: 1\r\n\r\nbody\r\n"}).last->status, MANSIO_OK);
  EXPECT_EQ(once({}, {.content = ""}).last->status, MANSIO_OK);
  EXPECT_EQ(daemon.transactions().size(), 2u);  // DSPAM takes no empty message
  std::string many;
  for (int i = 0; i < 201; ++i) many += "X-DSPAM-Result: Innocent\r\n";
  for (const auto &header : {many, "X-DSPAM-" + std::string(100, 'x') + ": 1\r\n"}) {
    const auto refused = once({}, {.content = header + "\r\nbody\r\n"});
    EXPECT_EQ(refused.last->status, MANSIO_FAIL);
    EXPECT_EQ(refused.last->enhanced, "5.6.0");
  }
  EXPECT_EQ(daemon.transactions().size(), 2u);
}

TEST(FilterDspamAnswers, AreFailuresWhereTheyAreNoVerdict) {
  for (const auto *answer : {"", "hello\r\n", "250 2.6.0 <bob> Message accepted for delivery\r\n",
                             "421 4.3.0 <bob> Error occured during processing\r\n", ".\r\n",
                             "X-DSPAM-Result: bob; result=\"Spam\"\r\n.\r\n"}) {
    Daemon daemon{[&](const Transaction &) { return std::string{answer}; }};
    FakeHost host{mansio_plugin_entry_1(), options(daemon)};
    const auto result = send(host, {});
    EXPECT_EQ(result.last->status, MANSIO_INTERNAL) << answer;
    // DSPAM may have learnt from it: it is not sent again.
    EXPECT_EQ(daemon.transactions().size(), 1u) << answer;
  }
}

// The dot is of DSPAM with --deliver=summary after 3.10.2, which says that it took the message.
TEST(FilterDspamAnswers, AreNoneOfWhatDspamDoesNotLookAt) {
  for (const auto *silence : {".\r\n", "250 2.6.0 <bob@example.com> Message accepted for delivery: INNOCENT\r\n"}) {
    Daemon daemon{[&](const Transaction &t) {
      return t.content.find("Subject") != t.content.npos ? judge(t) : std::string{silence};
    }};
    FakeHost strict{mansio_plugin_entry_1(), options(daemon)};
    const auto failed = send(strict, {.content = "x\r\n"});
    EXPECT_EQ(failed.last->status, MANSIO_INTERNAL) << silence;
    EXPECT_THAT(failed.last->text, HasSubstr("did not look at the message for bob@example.com")) << silence;
    EXPECT_THAT(send(strict, {}).edits, Contains("add_header X-DSPAM-Result: Innocent")) << silence;
    FakeHost lenient{mansio_plugin_entry_1(), options(daemon, {{"no_verdict", "accept"}})};
    const auto passed = send(lenient, {.content = "x\r\n"});
    EXPECT_EQ(passed.last->status, MANSIO_OK) << silence;
    EXPECT_THAT(passed.edits, IsEmpty()) << silence;
    EXPECT_EQ(daemon.connections(), 2u) << silence;  // which are used again
  }
}

TEST(FilterDspamAnswers, MayBringTheMessageBack) {
  Daemon daemon{[](const Transaction &t) {
    return "X-Daemon-Classification: SPAM\r\nSubject: one\r\nX-DSPAM-Result: Spam\r\nX-DSPAM-Processed: today\r\n"
           "X-DSPAM-Signature: 5a\r\n\r\n" +
           t.content;
  }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  for (int i = 0; i < 2; ++i)
    EXPECT_THAT(send(host, {}).edits,
                ElementsAre("change_header 1 Subject: [SPAM] one", "add_header X-DSPAM-Result: Spam",
                            "add_header X-DSPAM-Signature: 5a"));
  EXPECT_EQ(daemon.connections(), 2u);  // it is not used again
}

TEST(FilterDspamAnswers, LeaveNothingForTheNextMessage) {
  // A daemon that says more than it was asked for: the rest is not the answer about the next message.
  Daemon daemon{[](const Transaction &t) { return judge(t) + "250 2.1.0 OK\r\n"; }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
  EXPECT_EQ(daemon.connections(), 2u);
}

TEST(FilterDspamLmtp, SendsTheSenderAndNoParameters) {
  Daemon daemon{judge, false};
  FakeHost host{mansio_plugin_entry_1(), {{"server", daemon.address()}, {"mode", "lmtp"}}, {{"myhostname", "mx.test"}}};
  EXPECT_THAT(send(host, {.content = kSpam}).edits, Contains("change_header 1 Subject: [SPAM] one"));
  ASSERT_EQ(daemon.transactions().size(), 1u);
  EXPECT_EQ(daemon.transactions()[0].from, "a@example.com");
  EXPECT_EQ(daemon.transactions()[0].parameters, "");
  // The password is for a daemon that knows what it is.
  FakeHost dlmtp{mansio_plugin_entry_1(), options(daemon)};
  EXPECT_THAT(send(dlmtp, {}).last->text, HasSubstr("DSPAMPROCESSMODE"));
  EXPECT_EQ(daemon.transactions().size(), 1u);
}

// In LMTP what DSPAM does is up to its configuration.
struct FilterDspamLmtpDelivery : ::testing::Test {
  bool judges = false;
  Daemon daemon{[this](const Transaction &t) {
                  return judges ? judge(t) : std::string{"250 2.6.0 <bob> Message accepted for delivery\r\n"};
                },
                false};
  FakeHost::Options lmtp(FakeHost::Options more = {}) const {
    more.emplace("server", daemon.address());
    more.emplace("mode", "lmtp");
    return more;
  }
};

TEST_F(FilterDspamLmtpDelivery, MakesItPause) {
  FakeHost host{mansio_plugin_entry_1(), lmtp(), {{"virtual_clock", "1000000000"}}};
  for (int i = 0; i < 2; ++i) EXPECT_THAT(send(host, {}).last->text, HasSubstr("--deliver=summary"));
  EXPECT_EQ(daemon.transactions().size(), 1u) << "a message that comes again would be delivered again";
  const auto next = host.run({.stage = MANSIO_STAGE_MAIL, .arguments = {"a@example.com"}});
  EXPECT_EQ(next.last->status, MANSIO_INTERNAL);
  EXPECT_THAT(next.last->text, HasSubstr("--deliver=summary"));
  judges = true;
  host.advance(std::chrono::minutes{10});
  EXPECT_THAT(send(host, {}).edits, Contains("add_header X-DSPAM-Result: Innocent"));
}

TEST_F(FilterDspamLmtpDelivery, IsNoneByADaemonThatHasJudged) {
  FakeHost host{mansio_plugin_entry_1(), lmtp()};
  judges = true;
  EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
  judges = false;
  EXPECT_THAT(send(host, {}).last->text, HasSubstr("did not look at the message"));
  judges = true;
  EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
}

TEST_F(FilterDspamLmtpDelivery, IsLoggedWhereSilenceIsAccepted) {
  FakeHost host{mansio_plugin_entry_1(), lmtp({{"no_verdict", "accept"}})};
  for (int i = 0; i < 2; ++i) EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
  EXPECT_EQ(daemon.transactions().size(), 2u);
  EXPECT_THAT(host.log, HasSubstr("--deliver=summary"));
}

TEST(FilterDspamLmtp, ConnectsToASocketInTheFileSystem) {
  std::string dir = std::filesystem::temp_directory_path() / "mansio-dspam-XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  {
    Daemon daemon{judge, true, dir + "/socket"};
    FakeHost host{mansio_plugin_entry_1(), options(daemon)};
    EXPECT_EQ(send(host, {}).last->status, MANSIO_OK);
  }
  std::filesystem::remove_all(dir);
}

TEST(FilterDspamTime, EndsWithTheOperation) {
  std::promise<void> asked, go;
  Daemon daemon{[&](const Transaction &t) {
    asked.set_value();
    go.get_future().wait();
    return judge(t);
  }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon)};
  FakeStage stage{.stage = MANSIO_STAGE_RCPT, .arguments = {"bob@example.com"}};
  stage.message_meta = host.run(stage).message_meta;
  stage.stage = MANSIO_STAGE_END_OF_MESSAGE;
  stage.content = kInnocent;
  const auto op = host.show(stage);
  auto begun = asked.get_future();
  ASSERT_TRUE(host.run_until([&] { return begun.wait_for(std::chrono::seconds{0}) == std::future_status::ready; }));
  host.cancel(op);
  ASSERT_TRUE(host.run_until([&] { return host.completed(op); }));
  EXPECT_EQ(host.result(op).last->status, MANSIO_INTERNAL);
  go.set_value();
}

// ---- corrections -------------------------------------------------------------------------------------------------

struct FilterDspamCorrections : ::testing::Test {
  // DSPAM knows one signature.
  Daemon daemon{[](const Transaction &t) {
    if (t.parameters.find("--signature=") == std::string::npos) return judge(t);
    return t.parameters.ends_with("--signature=5aknown") ? summary(t.user, true, "5aknown") : std::string{".\r\n"};
  }};
  FakeHost host{mansio_plugin_entry_1(),
                options(daemon, {{"train_spam", "spam@example.com"}, {"train_ham", "notspam@example.com"}})};
};

TEST_F(FilterDspamCorrections, AreMadeByMailWithASignature) {
  const auto result =
      send(host, {.content = "Subject: Fwd: x\r\n\r\n> X-DSPAM-Signature: 5aknown\r\n> X-DSPAM-User: eve\r\n",
                  .recipients = {"Spam@EXAMPLE.com"},
                  .sender = "bob@Example.com"});
  EXPECT_EQ(result.last->status, MANSIO_OK);
  EXPECT_THAT(result.edits, ElementsAre("discard DSPAM was corrected with it"));
  auto seen = daemon.transactions();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].user, "bob@example.com");
  EXPECT_EQ(seen[0].parameters, "--deliver=summary --source=error --class=spam --signature=5aknown");
  EXPECT_THAT(seen[0].content, Not(HasSubstr("eve")));
  send(host, {.content = "X-DSPAM-Signature: 5aknown\r\n\r\n", .recipients = {"notspam@example.com"}});
  EXPECT_THAT(daemon.transactions().back().parameters, HasSubstr("--class=innocent"));
}

TEST_F(FilterDspamCorrections, TakeEachSignature) {
  const auto result = send(host, {.content = "X-DSPAM-Signature: 5aother\r\nX-DSPAM-Signature: 5aknown\r\n\r\n",
                                  .recipients = {"spam@example.com"}});
  EXPECT_THAT(result.edits, ElementsAre("discard DSPAM was corrected with it"));
  EXPECT_EQ(daemon.transactions().size(), 2u);
}

TEST_F(FilterDspamCorrections, AreRefusedWhereTheyCorrectNothing) {
  const auto refused = [&](const Mail &mail) {
    const auto result = send(host, mail);
    EXPECT_EQ(result.last->status, MANSIO_FAIL);
    return result.last->text;
  };
  EXPECT_THAT(refused({.recipients = {"spam@example.com"}}), HasSubstr("no signature"));
  EXPECT_THAT(refused({.content = "X-DSPAM-Signature: 5aother\r\n\r\n", .recipients = {"spam@example.com"}}),
              HasSubstr("no such signature"));
  EXPECT_THAT(refused({.content = "X-DSPAM-Signature: 5aknown\r\n\r\n",
                       .recipients = {"spam@example.com", "notspam@example.com"}}),
              HasSubstr("both"));
  EXPECT_THAT(
      refused({.content = "X-DSPAM-Signature: 5aknown\r\n\r\n", .recipients = {"spam@example.com"}, .sender = ""}),
      HasSubstr("no user"));
  EXPECT_THAT(
      refused({.content = "X-DSPAM-Signature: 5aknown\r\n\r\n", .recipients = {"spam@example.com"}, .trusted = false}),
      HasSubstr("users of this site"));
}

TEST(FilterDspamCorrectionsOnce, AreRefusedWhereDspam3102SaysThatItTookThem) {
  Daemon daemon{
      [](const Transaction &t) { return "250 2.6.0 <" + t.user + "> Message accepted for delivery: INNOCENT\r\n"; }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"train_spam", "spam@example.com"}})};
  const auto refused =
      send(host, {.content = "X-DSPAM-Signature: 5aother\r\n\r\n", .recipients = {"spam@example.com"}});
  EXPECT_EQ(refused.last->status, MANSIO_FAIL);
  EXPECT_THAT(refused.last->text, HasSubstr("no such signature"));
}

TEST_F(FilterDspamCorrections, DoNotKeepAMessageFromItsOtherRecipients) {
  const auto result = send(host, {.content = "X-DSPAM-Signature: 5aknown\r\n\r\nbody\r\n",
                                  .recipients = {"spam@example.com", "bob@example.com"}});
  EXPECT_EQ(result.last->status, MANSIO_OK);
  EXPECT_EQ(result.edits.front(), "delete_recipient spam@example.com");
  EXPECT_THAT(result.edits, Contains("add_header X-DSPAM-Result: Innocent"));
}

TEST_F(FilterDspamCorrections, NameNoUserByTheirSignatures) {
  const auto refused =
      send(host, {.content = "X-DSPAM-Signature: 7,5aknown\r\n\r\n", .recipients = {"spam@example.com"}});
  EXPECT_EQ(refused.last->status, MANSIO_FAIL);
  EXPECT_EQ(refused.last->enhanced, "5.7.1");
  EXPECT_THAT(daemon.transactions(), IsEmpty());
}

TEST(FilterDspamCorrectionsOnce, AreTakenThoughMoreOfThemFail) {
  Daemon daemon{[](const Transaction &t) {
    return t.parameters.ends_with("=5aone") ? summary(t.user, true, "5aone") : std::string{"421 4.3.0 <bob> later\r\n"};
  }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"train_spam", "spam@example.com"}})};
  const auto result = send(host, {.content = "X-DSPAM-Signature: 5aone\r\nX-DSPAM-Signature: 5atwo\r\n\r\n",
                                  .recipients = {"spam@example.com"}});
  EXPECT_THAT(result.edits, ElementsAre("discard DSPAM was corrected with it"));
  EXPECT_THAT(host.log, HasSubstr("not all of a@example.com's corrections were taken"));
}

TEST(FilterDspamCorrectionsOnce, AreNotMadeOfMailThatIsNotTaken) {
  Daemon daemon{[](const Transaction &t) {
    return t.user == "bob@example.com" ? std::string{"421 4.3.0 <bob> later\r\n"} : summary(t.user, true, "5aone");
  }};
  FakeHost host{mansio_plugin_entry_1(), options(daemon, {{"train_spam", "spam@example.com"}})};
  const auto result = send(host, {.content = "X-DSPAM-Signature: 5aone\r\n\r\nbody\r\n",
                                  .recipients = {"spam@example.com", "bob@example.com"}});
  EXPECT_EQ(result.last->status, MANSIO_INTERNAL);
  ASSERT_EQ(daemon.transactions().size(), 1u) << "its client comes again";
  EXPECT_EQ(daemon.transactions()[0].user, "bob@example.com");
}

// ---- options -----------------------------------------------------------------------------------------------------

TEST(FilterDspamOptions, AreInTheReadme) { mansio::testing::expect_options_in_readme(mansio_plugin_entry_1()); }
TEST(FilterDspamOptions, ExamplesWork) { mansio::testing::expect_example_in_readme(mansio_plugin_entry_1()); }

TEST(FilterDspamOptions, AreRefusedWhereTheyMeanNothing) {
  const auto said = FakeHost::check(mansio_plugin_entry_1(), {{"server", "[::1"},
                                                              {"ident", "a@b"},
                                                              {"password", "a b"},
                                                              {"operation", "guess"},
                                                              {"training_mode", "often"},
                                                              {"user", "{nobody}"},
                                                              {"spam_action", "explode"},
                                                              {"spam_subject", "\xff"},
                                                              {"spam_header", "YES"},
                                                              {"signature_header", "a b"},
                                                              {"mixed", "some"},
                                                              {"no_verdict", "hold"},
                                                              {"train_spam", "spam"},
                                                              {"train_from", "friends"}});
  for (const auto *option :
       {"server", "ident", "password", "operation", "training_mode", "user", "spam_action", "spam_subject",
        "spam_header", "signature_header", "mixed", "no_verdict", "train_spam", "train_from"})
    EXPECT_THAT(said, HasSubstr(std::string{option} + ' '));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(),
                              {{"server", "localhost"}, {"mode", "lmtp"}, {"train_spam", "spam@example.com"}}),
              HasSubstr("mode is \"lmtp\""));
  EXPECT_EQ(FakeHost::check(mansio_plugin_entry_1(), {{"server", "localhost"}, {"mode", "lmtp"}}), "");
}

}  // namespace
