// Messages of which a filter gives some recipients a version of their own: who gets what, what filters behind see of it
// and what their word is worth, and that all versions are taken or none.
#include <gmock/gmock.h>

#include <limits>

#include "tests/unit/ingress/filter_fixture.hpp"

namespace mansio::ingress::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr auto kEnd = MANSIO_STAGE_END_OF_MESSAGE;
constexpr auto kContent = "Subject: hi\r\n\r\nbody\r\n";

Edit version(std::uint32_t number, std::string recipient) {
  return {EditKind::Version, number, "", std::move(recipient)};
}
Edit header(std::string value, std::uint32_t version = 0) { return {EditKind::AddHeader, 0, "X", value, version}; }

std::vector<std::string> addresses(const Envelope &envelope) {
  std::vector<std::string> all;
  for (const auto &recipient : envelope.recipients) all.push_back(recipient.address);
  return all;
}

class VersionsTest : public FilteredServer {
 protected:
  // The first of the two that are asked.
  void first_edits(std::vector<Edit> edits) { policy_.script[{kEnd, ""}] = edits_of(std::move(edits)); }
  // The second, of what goes to this one before others.
  void then(std::string first_recipient, wire::StageResult r) {
    filter_.script[{kEnd, first_recipient}] = std::move(r);
  }
  void then_edits(std::string first_recipient, std::vector<Edit> edits) {
    then(std::move(first_recipient), edits_of(std::move(edits)));
  }
  std::string send_to(const std::vector<std::string> &recipients, const std::string &content = kContent) {
    auto peer = greet();
    std::string commands = "MAIL FROM:<a@b.example>\r\n";
    for (const auto &recipient : recipients) commands += "RCPT TO:<" + recipient + ">\r\n";
    say(peer, commands + "DATA\r\n");
    return send(peer, content);
  }
  std::vector<wire::StageCall> ends() const {
    std::vector<wire::StageCall> all;
    for (const auto &call : filter_.seen)
      if (call.stage == kEnd) all.push_back(call);
    return all;
  }
};

TEST_F(VersionsTest, AreMessagesOfTheirOwn) {
  first_edits({header("all"),
               version(1, "bob@d.example"),
               {EditKind::ChangeHeader, 1, "X", "bob", 1},
               {EditKind::ReplaceBody, 0, "", "for bob\n", 1},
               {EditKind::SetSender, 0, "", "s@d.example"},
               header("rest")});
  const auto reply = send_to({"alice@d.example", "bob@d.example", "carol@x.two"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  const auto &main = writer.stored_messages[0], &bobs = writer.stored_messages[1];
  EXPECT_EQ(reply, "250 2.0.0 Ok: queued as " + to_string(main.id) + "\r\n");
  EXPECT_EQ(writer.together, 1) << "one commit of both";
  EXPECT_THAT(intake.noticed, ElementsAre(main.id, bobs.id));
  EXPECT_THAT(addresses(main.envelope), ElementsAre("alice@d.example", "carol@x.two"));
  EXPECT_THAT(addresses(bobs.envelope), ElementsAre("bob@d.example"));
  EXPECT_EQ(main.envelope.routes.at(main.envelope.recipients[1].route).transport, "two");
  ASSERT_THAT(bobs.envelope.routes, SizeIs(1));
  EXPECT_EQ(bobs.envelope.routes[0].transport, "one");
  EXPECT_EQ(main.body, "Subject: hi\r\nX: all\r\nX: rest\r\n\r\nbody\r\n");
  EXPECT_EQ(bobs.body, "Subject: hi\r\nX: bob\r\n\r\nfor bob\r\n");
  EXPECT_THAT(bobs.prefix, HasSubstr("id " + to_string(bobs.id)));
  for (const auto *message : {&main, &bobs}) {
    EXPECT_EQ(message->envelope.sender, "s@d.example");
    EXPECT_EQ(message->envelope.helo, "client.test");
    EXPECT_EQ(message->envelope.body.size, message->prefix.size() + message->body.size());
  }
  EXPECT_EQ(service.counters.messages, 2u);
  EXPECT_EQ(service.counters.recipients, 3u);
  EXPECT_THAT(sink.text, HasSubstr("\"version of a message\""));
  EXPECT_THAT(policy_.aborted, IsEmpty());
}

TEST_F(VersionsTest, AreShownToFiltersBehind) {
  first_edits({version(1, "bob@d.example"), header("bob", 1)});
  send_to({"alice@d.example", "bob@d.example"});
  EXPECT_THAT(filter_.contents, ElementsAre(kContent, "Subject: hi\r\nX: bob\r\n\r\nbody\r\n"));
  EXPECT_THAT(policy_.contents, SizeIs(1));
  const auto shown = ends();
  ASSERT_THAT(shown, SizeIs(2));
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(shown[i].id, writer.stored_messages[i].id);
    EXPECT_THAT(shown[i].macros, Contains(Pair("recipient_count", "1")));
  }
  EXPECT_THAT(shown[0].arguments, ElementsAre("alice@d.example"));
  EXPECT_THAT(shown[1].arguments, ElementsAre("bob@d.example"));
}

TEST_F(VersionsTest, AreAllTakenOrNone) {
  settings.queue.notify_classes.clear();
  first_edits({version(1, "bob@d.example"), header("bob", 1)});
  writer.commit_fails = Error{Status::Defer, "no disk", {4, 3, 0}};
  EXPECT_THAT(send_to({"alice@d.example", "bob@d.example"}), StartsWith("451 "));
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_THAT(intake.noticed, IsEmpty());
  const auto shown = ends();
  ASSERT_THAT(shown, SizeIs(2));
  EXPECT_THAT(policy_.aborted, ElementsAre(shown[0].id));
  EXPECT_THAT(filter_.aborted, ElementsAre(shown[0].id, shown[1].id));
}

TEST_F(VersionsTest, RefuseTheMessageWhereOneOfThemIsRefused) {
  first_edits({version(1, "bob@d.example"), header("bob", 1)});
  then("bob@d.example", result(wire::StageOutcome::Fail, "not to bob"));
  EXPECT_EQ(send_to({"alice@d.example", "bob@d.example"}), "550 5.7.1 not to bob\r\n");
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  const auto main = ends().at(0).id;
  EXPECT_THAT(policy_.aborted, ElementsAre(main));
  EXPECT_THAT(filter_.aborted, ElementsAre(main));
}

TEST_F(VersionsTest, HaveWhatWasSaidBeforeAndNothingThatIsSaidOfAnother) {
  first_edits({version(1, "bob@d.example"), header("bob", 1)});
  policy_.script[{kEnd, ""}].message_meta = {{"x.all", "1"}};
  auto held = edits_of({{EditKind::Hold, 0, "", "look"}, {EditKind::AddHeader, 0, "X-Bob", "1"}});
  held.message_meta = {{"x.bob", "1"}};
  then("bob@d.example", held);
  EXPECT_THAT(send_to({"alice@d.example", "bob@d.example"}), StartsWith("250 "));
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  const auto &main = writer.stored_messages[0], &bobs = writer.stored_messages[1];
  EXPECT_EQ(main.envelope.hold_until, 0);
  EXPECT_THAT(main.envelope.metadata, ElementsAre(Pair("x.all", "1")));
  EXPECT_EQ(main.body, kContent);
  EXPECT_EQ(bobs.envelope.hold_until, std::numeric_limits<Nanos>::max());
  EXPECT_THAT(bobs.envelope.metadata,
              ElementsAre(Pair("x.all", "1"), Pair("x.bob", "1"), Pair("mansio.hold_reason", "by filter.f: look")));
  EXPECT_EQ(bobs.body, "Subject: hi\r\nX: bob\r\nX-Bob: 1\r\n\r\nbody\r\n");
}

TEST_F(VersionsTest, AreHeldTogetherWhereTheOneWhoMakesThemSaysSo) {
  first_edits({version(1, "bob@d.example"), header("bob", 1), {EditKind::Hold, 0, "", "look"}});
  send_to({"alice@d.example", "bob@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  for (const auto &message : writer.stored_messages)
    EXPECT_EQ(message.envelope.hold_until, std::numeric_limits<Nanos>::max());
}

TEST_F(VersionsTest, AreDiscardedOneByOne) {
  first_edits({version(1, "bob@d.example"), header("bob", 1)});
  then_edits("bob@d.example", {{EditKind::Discard, 0, "", "of no use"}});
  EXPECT_THAT(send_to({"alice@d.example", "bob@d.example"}), StartsWith("250 "));
  EXPECT_THAT(addresses(stored().envelope), ElementsAre("alice@d.example"));
  EXPECT_THAT(sink.text, HasSubstr("by filter.f: of no use"));
  EXPECT_THAT(filter_.aborted, IsEmpty());
}

TEST_F(VersionsTest, LeaveNoMessageThatNobodyGets) {
  first_edits({version(1, "bob@d.example"), version(1, "alice@d.example"), header("both", 1)});
  const auto reply = send_to({"alice@d.example", "bob@d.example"});
  EXPECT_EQ(reply, "250 2.0.0 Ok: queued as " + to_string(stored().id) + "\r\n");
  EXPECT_THAT(addresses(stored().envelope), ElementsAre("alice@d.example", "bob@d.example"));
  EXPECT_EQ(stored().body, "Subject: hi\r\nX: both\r\n\r\nbody\r\n");
  EXPECT_THAT(ends(), SizeIs(1));
}

TEST_F(VersionsTest, AreAsManyAsThereAreDifferentEdits) {
  first_edits({header("all"), version(1, "alice@d.example"), version(2, "bob@d.example"), header("two", 2),
               version(3, "carol@d.example"), header("two", 3)});
  send_to({"alice@d.example", "bob@d.example", "carol@d.example", "dave@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_THAT(addresses(writer.stored_messages[0].envelope), ElementsAre("alice@d.example", "dave@d.example"));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("bob@d.example", "carol@d.example"));
}

TEST_F(VersionsTest, MayBeginAsTheMessageCameWhileTheOthersAreEdited) {
  first_edits({version(1, "bob@d.example"), header("rest")});
  send_to({"alice@d.example", "bob@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_EQ(writer.stored_messages[0].body, "Subject: hi\r\nX: rest\r\n\r\nbody\r\n");
  EXPECT_EQ(writer.stored_messages[1].body, kContent);
}

TEST_F(VersionsTest, HaveVersionsOfTheirOwn) {
  first_edits({version(1, "bob@d.example"), version(1, "carol@d.example"), header("one", 1)});
  then_edits("bob@d.example", {version(1, "carol@d.example"), header("two", 1)});
  send_to({"alice@d.example", "bob@d.example", "carol@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(3));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("bob@d.example"));
  EXPECT_THAT(addresses(writer.stored_messages[2].envelope), ElementsAre("carol@d.example"));
  EXPECT_EQ(writer.stored_messages[2].body, "Subject: hi\r\nX: one\r\nX: two\r\n\r\nbody\r\n");
}

TEST_F(VersionsTest, AreNoMessagesOnceTheirVersionsHaveAllOfTheirRecipients) {
  first_edits({version(1, "bob@d.example"), header("one", 1)});
  then_edits("bob@d.example", {version(1, "bob@d.example"), header("two", 1)});
  EXPECT_THAT(send_to({"alice@d.example", "bob@d.example"}), StartsWith("250 "));
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_THAT(addresses(writer.stored_messages[0].envelope), ElementsAre("alice@d.example"));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("bob@d.example"));
  EXPECT_EQ(writer.stored_messages[1].body, "Subject: hi\r\nX: one\r\nX: two\r\n\r\nbody\r\n");
  EXPECT_THAT(sink.text, Not(HasSubstr("discarded")));
}

TEST_F(VersionsTest, BringOneCopyToEachAddress) {
  // By one of the names that lead there.
  first_edits({version(1, "postmaster"), header("one", 1)});
  send_to({"alice@d.example", "postmaster@mx.test", "postmaster"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_THAT(addresses(writer.stored_messages[0].envelope), ElementsAre("alice@d.example"));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("postmaster@mx.test"));
  // Who is added to all of them, and who has one already.
  writer.stored_messages.clear();
  first_edits({version(1, "bob@d.example"), header("one", 1)});
  then_edits("", {{EditKind::AddRecipient, 0, "", "bob@d.example"}, {EditKind::AddRecipient, 0, "", "archive@x.two"}});
  send_to({"alice@d.example", "bob@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_THAT(addresses(writer.stored_messages[0].envelope), ElementsAre("alice@d.example", "archive@x.two"));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("bob@d.example"));
}

TEST_F(VersionsTest, AreRedirectedOneByOne) {
  first_edits({version(1, "bob@d.example"), header("one", 1)});
  then_edits("bob@d.example", {{EditKind::Redirect, 0, "", "alice@d.example"}});
  send_to({"alice@d.example", "bob@d.example"});
  ASSERT_THAT(writer.stored_messages, SizeIs(2));
  EXPECT_THAT(addresses(writer.stored_messages[0].envelope), ElementsAre("alice@d.example"));
  EXPECT_THAT(addresses(writer.stored_messages[1].envelope), ElementsAre("alice@d.example"))
      << "nobody else would have it";
}

TEST_F(VersionsTest, PassOverWhoIsNoRecipientAnyMore) {
  first_edits({version(1, "bob@d.example"),
               header("one", 1),
               {EditKind::DeleteRecipient, 0, "", "bob@d.example"},
               version(2, "stranger@d.example"),
               header("two", 2)});
  send_to({"alice@d.example", "bob@d.example"});
  EXPECT_THAT(addresses(stored().envelope), ElementsAre("alice@d.example"));
  EXPECT_EQ(stored().body, kContent);
}

TEST_F(VersionsTest, AreNotMoreThanAHundred) {
  settings.queue.notify_classes.clear();
  std::vector<std::string> recipients;
  std::vector<Edit> edits;
  for (int i = 1; i <= 101; ++i) {
    recipients.push_back("r" + std::to_string(i) + "@d.example");
    edits.push_back(version(static_cast<std::uint32_t>(i), recipients.back()));
    edits.push_back(header(std::to_string(i), static_cast<std::uint32_t>(i)));
  }
  first_edits(edits);
  EXPECT_THAT(send_to(recipients), StartsWith("451 4.3.0 "));
  EXPECT_THAT(sink.text, HasSubstr("more than 100 versions"));
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  edits.resize(edits.size() - 2);
  first_edits(edits);
  EXPECT_THAT(send_to(recipients), StartsWith("250 "));
  EXPECT_THAT(writer.stored_messages, SizeIs(101));
  EXPECT_EQ(writer.together, 1);
}

TEST_F(VersionsTest, AreAFailureOfTheOneWhoMakesThemWhereOneCannotBe) {
  settings.queue.notify_classes.clear();
  watch(config::OnFailure::Skip);
  service.smtpd.message_size_limit = 1000;
  first_edits({header("all"),
               version(1, "bob@d.example"),
               {EditKind::ReplaceBody, 0, "", std::string(2000, 'x'), 1},
               {EditKind::SetSender, 0, "", "s@d.example"}});
  EXPECT_THAT(send_to({"alice@d.example", "bob@d.example"}), StartsWith("250 "));
  EXPECT_EQ(stored().body, kContent);
  EXPECT_EQ(stored().envelope.sender, "a@b.example");
  EXPECT_THAT(addresses(stored().envelope), ElementsAre("alice@d.example", "bob@d.example"));
}

}  // namespace
}  // namespace mansio::ingress::testing
