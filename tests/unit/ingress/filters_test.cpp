// Sessions with filters and policies that a test plays itself: who is asked what and when, what becomes of a verdict,
// of edits and of failures, and that nothing is committed before everyone has spoken.
#include <gmock/gmock.h>

#include <limits>

#include "tests/unit/ingress/filter_fixture.hpp"

namespace mansio::ingress {
namespace {

using config::OnFailure;
using ::testing::Contains;
using testing::edits_of;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using testing::FakeFilter;
using testing::FilteredServer;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using testing::Peer;
using testing::result;
using ::testing::StartsWith;
using testing::Stored;
using wire::StageOutcome;

TEST_F(FilteredServer, ShowsEveryStageInOrderWithItsFacts) {
  auto peer = connect();
  say(peer, "EHLO client.test\r\n");
  say(peer, "MAIL FROM:<a@b.example> SIZE=100\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(send(peer, "Subject: hi\r\n there\r\nX: 1\r\n\r\nbody\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  say(peer, "QUIT\r\n");
  EXPECT_THAT(filter_.order(),
              ElementsAre(MANSIO_STAGE_CONNECT, MANSIO_STAGE_HELO, MANSIO_STAGE_MAIL, MANSIO_STAGE_RCPT,
                          MANSIO_STAGE_DATA, MANSIO_STAGE_HEADER, MANSIO_STAGE_HEADER, MANSIO_STAGE_END_OF_HEADERS,
                          MANSIO_STAGE_BODY, MANSIO_STAGE_END_OF_MESSAGE, MANSIO_STAGE_DISCONNECT));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_HELO).arguments, ElementsAre("client.test"));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_MAIL).arguments, ElementsAre("a@b.example", "SIZE=100"));
  const auto &rcpt = filter_.call_of(MANSIO_STAGE_RCPT);
  EXPECT_THAT(rcpt.arguments, ElementsAre("c@d.example"));
  EXPECT_THAT(rcpt.macros, Contains(Pair("sender", "a@b.example")));
  EXPECT_THAT(rcpt.macros, Contains(Pair("recipient_count", "0")));
  EXPECT_THAT(rcpt.macros, Contains(Pair("helo_name", "client.test")));
  EXPECT_THAT(rcpt.macros, Contains(Pair("client_address", "unix")));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_HEADER).arguments, ElementsAre("Subject", " hi\r\n there"));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_BODY).arguments, ElementsAre("body\r\n"));
  EXPECT_EQ(filter_.call_of(MANSIO_STAGE_END_OF_MESSAGE).id, stored().id);
  EXPECT_THAT(filter_.contents, ElementsAre("Subject: hi\r\n there\r\nX: 1\r\n\r\nbody\r\n"));
  EXPECT_THAT(filter_.aborted, IsEmpty());
}

TEST_F(FilteredServer, AsksOnlyForTheStagesThatAreWanted) {
  filter_.wanted = 1u << MANSIO_STAGE_RCPT | 1u << MANSIO_STAGE_DISCONNECT;
  policy_.wanted = 0;
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_THAT(filter_.order(), ElementsAre(MANSIO_STAGE_RCPT));
  say(peer, "QUIT\r\n");
  EXPECT_THAT(filter_.order(), ElementsAre(MANSIO_STAGE_RCPT, MANSIO_STAGE_DISCONNECT));
}

TEST_F(FilteredServer, LetsAPolicyRefuseARecipientAndNoOther) {
  auto refused = result(StageOutcome::Fail, "no such user", 550);
  refused.enhanced = {5, 1, 1};
  policy_.script[{MANSIO_STAGE_RCPT, "bad@d.example"}] = refused;
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<bad@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n550 5.1.1 no such user\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
  EXPECT_EQ(service.counters.rejected_recipients, 1u);
  send(peer, "x\r\n");
  ASSERT_EQ(stored().envelope.recipients.size(), 1u);
  EXPECT_EQ(stored().envelope.recipients[0].address, "c@d.example");
  EXPECT_THAT(sink.text, HasSubstr("refused by a filter"));
  EXPECT_EQ(filter_.call_of(MANSIO_STAGE_RCPT).arguments[0], "c@d.example") << "the first that refuses decides";
}

TEST_F(FilteredServer, DoesNotAskAboutWhatItRefusesItself) {
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@d.example>\r\nVRFY x\r\n");
  EXPECT_THAT(filter_.order(), ElementsAre(MANSIO_STAGE_CONNECT, MANSIO_STAGE_HELO, MANSIO_STAGE_MAIL));
}

TEST_F(FilteredServer, RefusesAConnection) {
  policy_.script[{MANSIO_STAGE_CONNECT, ""}] = result(StageOutcome::Fail, "not you");
  auto peer = dial();
  settle();
  EXPECT_EQ(peer.received(), "554 5.7.1 not you\r\n");
  EXPECT_TRUE(peer.closed());
}

TEST_F(FilteredServer, RefusesHeloAndMailAndData) {
  policy_.script[{MANSIO_STAGE_HELO, "bad.test"}] = result(StageOutcome::Fail, "bad name");
  policy_.script[{MANSIO_STAGE_MAIL, "bad@b.example"}] = result(StageOutcome::Defer, "grey");
  policy_.script[{MANSIO_STAGE_DATA, ""}] = result(StageOutcome::Fail, "no data");
  auto peer = connect();
  EXPECT_EQ(say(peer, "EHLO bad.test\r\n"), "550 5.7.1 bad name\r\n");
  EXPECT_THAT(say(peer, "EHLO client.test\r\n"), StartsWith("250-mx.test\r\n"));
  EXPECT_EQ(say(peer, "MAIL FROM:<bad@b.example>\r\nRCPT TO:<c@d.example>\r\n"),
            "451 4.7.1 grey\r\n503 5.5.1 Error: need MAIL command\r\n");
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n554 5.7.1 no data\r\n");
  EXPECT_EQ(say(peer, "BDAT 3 LAST\r\nabc"), "554 5.7.1 no data\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, EndsTheSessionWhenThatIsTheVerdict) {
  policy_.script[{MANSIO_STAGE_RCPT, ""}] = result(StageOutcome::Fail, "go away", 521);
  auto peer = greet();
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"), EndsWith("521 5.7.1 go away\r\n"));
  EXPECT_TRUE(peer.closed());
}

TEST_F(FilteredServer, WaitsForAVerdictAndKeepsTheOrderOfReplies) {
  policy_.waits = {MANSIO_STAGE_RCPT};
  auto peer = greet();
  auto other = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nRSET\r\n"), "");
  EXPECT_EQ(say(other, "NOOP\r\n"), "250 2.0.0 Ok\r\n") << "nobody else waits";
  ASSERT_EQ(policy_.kept.size(), 1u);
  policy_.kept[0](result(StageOutcome::Fail, "first"));
  settle();
  ASSERT_EQ(policy_.kept.size(), 2u);
  policy_.kept[1](result(StageOutcome::Ok));
  settle();
  EXPECT_EQ(peer.received(), "250 2.1.0 Ok\r\n550 5.7.1 first\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n");
}

TEST_F(FilteredServer, RefusesAMessageAfterItsEnd) {
  filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = result(StageOutcome::Fail, "it is spam");
  auto peer = ready_for_data();
  EXPECT_EQ(send(peer, "x\r\n"), "550 5.7.1 it is spam\r\n");
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(service.counters.rejected_messages, 1u);
  EXPECT_EQ(policy_.aborted.size(), 1u) << "who saw it hears that it comes to nothing";
  EXPECT_THAT(filter_.aborted, IsEmpty()) << "but for the one who refused it";
}

TEST_F(FilteredServer, CommitsTheEditedMessage) {
  edit({{EditKind::AddHeader, 0, "X-New", "1"},
        {EditKind::ChangeHeader, 1, "Subject", "changed"},
        {EditKind::SetSender, 0, "", "edited@s.example"},
        {EditKind::AddRecipient, 0, "", "added@x.two"},
        {EditKind::DeleteRecipient, 0, "", "C@d.example"},
        {EditKind::ReplaceBody, 0, "", "new\n.body\xff\n"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "Subject: hi\r\n\r\nold\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  const auto m = stored();
  EXPECT_EQ(m.body, "Subject: changed\r\nX-New: 1\r\n\r\nnew\r\n.body\xff\r\n");
  EXPECT_EQ(m.envelope.sender, "edited@s.example");
  ASSERT_EQ(m.envelope.recipients.size(), 1u);
  EXPECT_EQ(m.envelope.recipients[0].address, "added@x.two");
  EXPECT_EQ(m.envelope.routes.at(m.envelope.recipients[0].route).transport, "two");
  EXPECT_EQ(m.envelope.body.size, m.prefix.size() + m.body.size());
  EXPECT_TRUE(m.envelope.body.leading_dots);
  EXPECT_TRUE(m.envelope.body.eight_bit);
}

TEST_F(FilteredServer, SaysThatTheListenerIsUnderStress) {
  auto peer = greet();
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_HELO).macros, Not(Contains(Pair("stress", ::testing::_))));
  census.stress(service.name, clock.mono() + kSecond);
  server->sweep();
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_MAIL).macros, Contains(Pair("stress", "true")));
}

TEST_F(FilteredServer, ShowsAFilterWhatTheOnesBeforeItChanged) {
  policy_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = edits_of({{EditKind::InsertHeader, 0, "X-First", "1"}});
  edit({{EditKind::AddHeader, 0, "X-Second", "2"}});
  auto peer = ready_for_data();
  send(peer, "Subject: hi\r\n\r\nold\r\n");
  EXPECT_THAT(filter_.contents, ElementsAre("X-First: 1\r\nSubject: hi\r\n\r\nold\r\n"));
  EXPECT_EQ(filter_.call_of(MANSIO_STAGE_HEADER).arguments[0], "X-First");
  EXPECT_EQ(stored().body, "X-First: 1\r\nSubject: hi\r\nX-Second: 2\r\n\r\nold\r\n");
}

TEST_F(FilteredServer, GivesMessagesWithoutHeaderOrBodyTheirFields) {
  edit({{EditKind::AddHeader, 0, "X", "1"}});
  for (const auto &[before, after] : std::vector<std::pair<std::string, std::string>>{
           {"Subject: a\r\n", "Subject: a\r\nX: 1\r\n"},
           {"\r\nbody\r\n", "X: 1\r\n\r\nbody\r\n"},
           {"no field\r\n", "X: 1\r\n\r\nno field\r\n"},
           {"", "X: 1\r\n"},
       }) {
    writer.stored_messages.clear();
    auto peer = ready_for_data();
    send(peer, before);
    EXPECT_EQ(stored().body, after) << before;
  }
}

TEST_F(FilteredServer, HoldsAMessageWithTheReason) {
  policy_.script[{MANSIO_STAGE_RCPT, ""}] = edits_of({{EditKind::Hold, 0, "", "looks bad"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(stored().envelope.hold_until, std::numeric_limits<Nanos>::max());
  EXPECT_THAT(stored().envelope.metadata, Contains(Pair("mansio.hold_reason", "by policy.p: looks bad")));
}

TEST_F(FilteredServer, AcceptsAndForgetsWhatIsToBeDiscarded) {
  filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = edits_of({{EditKind::Discard, 0, "", "of no use"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_THAT(sink.text, HasSubstr("by filter.f: of no use"));
  EXPECT_THAT(filter_.aborted, IsEmpty());
}

TEST_F(FilteredServer, SendsAMessageToNobodyElse) {
  policy_.script[{MANSIO_STAGE_RCPT, "first@d.example"}] = edits_of({{EditKind::Redirect, 0, "", "review@x.two"}});
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<first@d.example> NOTIFY=NEVER\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_DATA).macros, Contains(Pair("recipient_count", "2")));
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_END_OF_MESSAGE).macros, Contains(Pair("recipient_count", "1")));
  const auto e = stored().envelope;
  ASSERT_EQ(e.recipients.size(), 1u);
  EXPECT_EQ(e.recipients[0].address, "review@x.two");
  EXPECT_EQ(e.recipients[0].notify, 0u);
  ASSERT_EQ(e.routes.size(), 1u);
  EXPECT_EQ(e.routes[0].transport, "two");
}

TEST_F(FilteredServer, LetsFiltersBehindARedirectionHaveTheirRecipients) {
  policy_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = edits_of({{EditKind::AddRecipient, 0, "", "gone@x.two"},
                                                                {EditKind::Redirect, 0, "", "review@x.two"},
                                                                {EditKind::Hold, 0, "", "a look"}});
  edit({{EditKind::AddRecipient, 0, "", "archive@x.two"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  const auto e = stored().envelope;
  ASSERT_EQ(e.recipients.size(), 2u);
  EXPECT_EQ(e.recipients[0].address, "review@x.two");
  EXPECT_EQ(e.recipients[1].address, "archive@x.two");
  EXPECT_EQ(e.hold_until, std::numeric_limits<Nanos>::max());
}

TEST_F(FilteredServer, TakesARedirectionThatCannotBeForAFailure) {
  settings.queue.notify_classes.clear();  // the postmaster's notice of a session that was deferred is a message too
  auto r = edits_of({{EditKind::Redirect, 0, "", "nobody@d.example"}});
  for (const auto stage : {MANSIO_STAGE_MAIL, MANSIO_STAGE_BODY, MANSIO_STAGE_END_OF_MESSAGE}) {
    writer.stored_messages.clear();
    policy_.script.clear();
    policy_.script[{static_cast<std::uint32_t>(stage), ""}] = r;
    watch();
    auto peer = ready_for_data();
    EXPECT_THAT(send(peer, "a: b\r\n\r\nx\r\n"), StartsWith("451 4.3.0 ")) << stage;
    EXPECT_TRUE(writer.stored_messages.empty());
    watch(OnFailure::Hold);
    auto second = ready_for_data();
    EXPECT_THAT(send(second, "a: b\r\n\r\nx\r\n"), StartsWith("250 ")) << stage;
    EXPECT_EQ(stored().envelope.recipients.at(0).address, "c@d.example");
    EXPECT_EQ(stored().envelope.hold_until, std::numeric_limits<Nanos>::max());
  }
}

TEST_F(FilteredServer, ForgetsARedirectionWithTheMessageOrTheRecipientThatItWasSaidOf) {
  auto r = edits_of({{EditKind::Redirect, 0, "", "review@x.two"}});
  policy_.script[{MANSIO_STAGE_MAIL, "one@b.example"}] = r;
  policy_.script[{MANSIO_STAGE_RCPT, "trap@d.example"}] = r;
  filter_.script[{MANSIO_STAGE_RCPT, "trap@d.example"}] = result(StageOutcome::Fail, "unknown");
  auto peer = greet();
  say(peer, "MAIL FROM:<one@b.example>\r\nRCPT TO:<c@d.example>\r\nRSET\r\n");
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<trap@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_EQ(stored().envelope.recipients.at(0).address, "c@d.example");
}

TEST_F(FilteredServer, DiscardsAMessageThatHasNoRecipientLeft) {
  edit({{EditKind::DeleteRecipient, 0, "", "c@d.example"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, TellsOfTheListenersTenant) {
  auto untold = greet();
  EXPECT_THAT(policy_.call_of(MANSIO_STAGE_HELO).macros, Not(Contains(Pair("tenant", ::testing::_))));
  policy_.seen.clear();
  service.smtpd.tenant = "gold";
  auto peer = greet();
  EXPECT_THAT(policy_.call_of(MANSIO_STAGE_CONNECT).macros, Contains(Pair("tenant", "gold")));
}

TEST_F(FilteredServer, PassesMetadataOnAndIntoTheEnvelope) {
  auto greeted = result(StageOutcome::Ok);
  greeted.session_meta = {{"seen", "1"}};
  policy_.script[{MANSIO_STAGE_HELO, ""}] = greeted;
  auto r = result(StageOutcome::Ok);
  r.message_meta = {{"tenant", "blue"}, {"campaign", "c"}, {"source_pool", "p"}, {"priority", "-4"}, {"x.note", "n"}};
  policy_.script[{MANSIO_STAGE_MAIL, ""}] = r;
  auto peer = ready_for_data();
  send(peer, "x\r\n");
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_RCPT).session_meta, Contains(Pair("seen", "1")));
  EXPECT_THAT(filter_.call_of(MANSIO_STAGE_RCPT).message_meta, Contains(Pair("x.note", "n")));
  const auto e = stored().envelope;
  EXPECT_EQ(e.tenant, "blue");
  EXPECT_EQ(e.campaign, "c");
  EXPECT_EQ(e.source_pool, "p");
  EXPECT_EQ(static_cast<std::int8_t>(e.priority), -4);
  EXPECT_THAT(e.metadata, ElementsAre(Pair("x.note", "n")));
  // The next message of the session begins without what was noted about this one.
  say(peer, "MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\n");
  EXPECT_THAT(policy_.seen.back().session_meta, Contains(Pair("seen", "1")));
}

TEST_F(FilteredServer, TakesNothingButAPriorityForOne) {
  auto r = result(StageOutcome::Ok);
  r.message_meta = {{"priority", "urgent"}, {"x.note", "n"}};
  policy_.script[{MANSIO_STAGE_MAIL, ""}] = r;
  auto peer = ready_for_data();
  send(peer, "x\r\n");
  EXPECT_EQ(stored().envelope.priority, 0);
  EXPECT_THAT(stored().envelope.metadata, ElementsAre(Pair("x.note", "n")));
  EXPECT_THAT(sink.text, HasSubstr("urgent"));
}

TEST_F(FilteredServer, DefersWhenAPluginFails) {
  policy_.script[{MANSIO_STAGE_RCPT, ""}] = result(StageOutcome::Failed, "it broke");
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"),
            "250 2.1.0 Ok\r\n451 4.3.0 Error: a check could not be made, try again later\r\n");
  EXPECT_THAT(sink.text, HasSubstr("it broke"));
}

TEST_F(FilteredServer, GoesOnWithoutAPluginThatFailsWhereThatIsConfigured) {
  watch(OnFailure::Skip);
  filter_.script[{MANSIO_STAGE_MAIL, ""}] = result(StageOutcome::Failed, "it broke");
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_THAT(filter_.order(), ElementsAre(MANSIO_STAGE_CONNECT, MANSIO_STAGE_HELO, MANSIO_STAGE_MAIL))
      << "it is asked no more about that message";
  EXPECT_THAT(policy_.order(), Contains(MANSIO_STAGE_END_OF_MESSAGE));
  EXPECT_EQ(stored().envelope.hold_until, 0);
}

// What a breaker goes by: it takes the content of a message for one.
TEST_F(FilteredServer, SaysWhichStageOfTheContentIsTheLastThatAPluginSees) {
  policy_.wanted = 1u << MANSIO_STAGE_RCPT | 1u << MANSIO_STAGE_HEADER | 1u << MANSIO_STAGE_BODY;
  const auto last = [](FakeFilter &filter) {
    std::vector<std::pair<std::uint32_t, std::string>> found;
    for (const auto &call : filter.seen)
      if (call.last) found.emplace_back(call.stage, call.arguments.empty() ? "" : call.arguments[0]);
    filter.seen.clear();
    return found;
  };
  auto peer = ready_for_data();
  send(peer, "A: 1\r\nB: 2\r\n\r\nbody\r\n");
  EXPECT_THAT(last(policy_), ElementsAre(Pair(MANSIO_STAGE_BODY, "body\r\n")));
  EXPECT_THAT(last(filter_), ElementsAre(Pair(MANSIO_STAGE_END_OF_MESSAGE, "c@d.example")));
  auto second = ready_for_data();
  send(second, "A: 1\r\nB: 2\r\n");
  EXPECT_THAT(last(policy_), ElementsAre(Pair(MANSIO_STAGE_HEADER, "B"))) << "there is no body";
  EXPECT_THAT(last(filter_), ElementsAre(Pair(MANSIO_STAGE_END_OF_MESSAGE, "c@d.example")));
}

TEST_F(FilteredServer, HoldsMailOnWhichAPluginFailsWhereThatIsConfigured) {
  watch(OnFailure::Hold);
  filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = result(StageOutcome::Failed, "it broke");
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_EQ(stored().envelope.hold_until, std::numeric_limits<Nanos>::max());
  EXPECT_THAT(stored().envelope.metadata, Contains(Pair("mansio.hold_reason", "filter.f failed: it broke")));
}

TEST_F(FilteredServer, TakesEditsThatCannotBeAppliedForAFailure) {
  edit({{EditKind::AddHeader, 0, "X", "1"}, {EditKind::AddRecipient, 0, "", "nobody@d.example"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_TRUE(writer.stored_messages.empty());
  watch(OnFailure::Skip);
  auto second = ready_for_data();
  EXPECT_THAT(send(second, "x: y\r\n"), StartsWith("250 "));
  EXPECT_EQ(stored().body, "x: y\r\n") << "none of the edits counts";
}

TEST_F(FilteredServer, TakesAPluginWhoseProcessEndedMeanwhileForOneThatFailed) {
  auto peer = ready_for_data();
  ++filter_.born;
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_TRUE(writer.stored_messages.empty());
  // The next message finds it in order.
  say(peer, "MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
}

TEST_F(FilteredServer, TakesNothingOfAMessageOnceAPluginHasFailedOnIt) {
  filter_.script[{MANSIO_STAGE_RCPT, "a@d.example"}] = result(StageOutcome::Failed, "it broke");
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@d.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\n"),
            "250 2.1.0 Ok\r\n451 4.3.0 Error: a check could not be made, try again later\r\n"
            "451 4.3.0 Error: a check could not be made, try again later\r\n554 5.5.1 Error: no valid recipients\r\n");
  filter_.script.clear();
  filter_.script[{MANSIO_STAGE_DATA, ""}] = result(StageOutcome::Failed, "it broke");
  say(peer, "RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@d.example>\r\n");
  for (int i = 0; i < 2; ++i) EXPECT_THAT(say(peer, "DATA\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_THAT(say(peer, "BDAT 3 LAST\r\nabc"), StartsWith("451 4.3.0 "));
}

TEST_F(FilteredServer, TakesNoContentThatAPluginDidNotSeeSinceItFailedBefore) {
  filter_.wanted = 1u << MANSIO_STAGE_RCPT | 1u << MANSIO_STAGE_END_OF_MESSAGE;
  filter_.script[{MANSIO_STAGE_RCPT, "b@d.example"}] = result(StageOutcome::Failed, "it broke");
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<a@d.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\n");
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, AsksAgainAtTheNextHeloOnWhatAPluginFailed) {
  policy_.script[{MANSIO_STAGE_HELO, ""}] = result(StageOutcome::Failed, "it broke");
  auto peer = connect();
  for (int i = 0; i < 2; ++i) EXPECT_THAT(say(peer, "EHLO client.test\r\n"), StartsWith("451 4.3.0 "));
}

TEST_F(FilteredServer, RefusesAllChunksWhenTheFirstIsRefused) {
  policy_.script[{MANSIO_STAGE_DATA, ""}] = result(StageOutcome::Defer, "later");
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  EXPECT_EQ(say(peer, "BDAT 3\r\nabcBDAT 3\r\ndefBDAT 3 LAST\r\nghi"),
            "451 4.7.1 later\r\n451 4.7.1 later\r\n451 4.7.1 later\r\n");
  EXPECT_EQ(policy_.order().back(), MANSIO_STAGE_DATA);
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, RefusesWhateverCodeAProcessOfItsOwnGivesItsRefusal) {
  auto odd = result(StageOutcome::Fail, "no\r\n250 Ok", 250);
  odd.enhanced = {2, 0, 1};
  filter_.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] = odd;
  auto peer = ready_for_data();
  EXPECT_EQ(send(peer, "x\r\n"), "550 5.0.1 no  250 Ok\r\n");
}

TEST_F(FilteredServer, HoldsWhatAPluginWouldDiscardWithAnEditThatCannotBe) {
  watch(OnFailure::Hold);
  edit({{EditKind::Discard, 0, "", "of no use"}, {EditKind::AddRecipient, 0, "", "nobody@d.example"}});
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_EQ(stored().envelope.hold_until, std::numeric_limits<Nanos>::max());
}

TEST_F(FilteredServer, ForgetsWhatWasSaidOfARecipientThatAnotherRefused) {
  auto r = edits_of({{EditKind::Discard, 0, "", "a trap"}});
  r.message_meta = {{"tenant", "blue"}};
  policy_.script[{MANSIO_STAGE_RCPT, "trap@d.example"}] = r;
  filter_.script[{MANSIO_STAGE_RCPT, "trap@d.example"}] = result(StageOutcome::Fail, "unknown");
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<trap@d.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n");
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("250 "));
  EXPECT_EQ(stored().envelope.tenant, "");
}

TEST_F(FilteredServer, KeepsTheNameOfBeforeWhenAnEhloIsRefused) {
  policy_.script[{MANSIO_STAGE_HELO, "bad.test"}] = result(StageOutcome::Fail, "bad name");
  auto peer = greet();
  say(peer, "EHLO bad.test\r\n");
  say(peer, "MAIL FROM:<a@b.example>\r\n");
  EXPECT_THAT(policy_.seen.back().macros, Contains(Pair("helo_name", "client.test")));
}

TEST_F(FilteredServer, AnswersTheCommandsBeforeAChunkWhileItsMessageIsLookedAt) {
  filter_.waits = {MANSIO_STAGE_END_OF_MESSAGE};
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 3 LAST\r\nabc"),
            "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
  filter_.kept[0](result(StageOutcome::Ok));
  settle();
  EXPECT_THAT(peer.received(), StartsWith("250 2.0.0 Ok: queued as "));
}

TEST_F(FilteredServer, DefersWhenThereIsNoMemoryForAnEditedCopy) {
  edit({{EditKind::AddHeader, 0, "X", "1"}});
  writer.memory_tight = true;
  auto peer = ready_for_data();
  EXPECT_THAT(send(peer, "x\r\n"), StartsWith("452 4.3.1 "));
}

TEST_F(FilteredServer, TakesMoreMetadataThanAMessageMayHaveForAFailure) {
  auto r = result(StageOutcome::Ok);
  for (int i = 0; i < 40; ++i) r.message_meta.emplace_back("x" + std::to_string(i), std::string(2000, 'x'));
  policy_.script[{MANSIO_STAGE_MAIL, ""}] = r;
  auto peer = greet();
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\n"), StartsWith("451 4.3.0 "));
}

TEST_F(FilteredServer, TellsThoseWhoSawAMessageThatItComesToNothing) {
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n");
  EXPECT_EQ(filter_.aborted.size(), 1u);
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhalf");
  peer.hang_up();
  settle();
  EXPECT_EQ(filter_.aborted.size(), 2u);
  EXPECT_TRUE(writer.stored_messages.empty());
  auto third = ready_for_data();
  writer.commit_fails = Error{Status::Defer, "EIO", {4, 3, 0}};
  EXPECT_THAT(send(third, "x\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_EQ(filter_.aborted.size(), 3u);
}

TEST_F(FilteredServer, CommitsNothingForAClientThatWentAwayWhileAFilterThought) {
  filter_.waits = {MANSIO_STAGE_END_OF_MESSAGE};
  auto peer = ready_for_data();
  EXPECT_EQ(send(peer, "x\r\n"), "");
  peer.hang_up();
  settle();
  server->sweep();
  settle();
  EXPECT_EQ(filter_.cancelled.size(), 1u);
  EXPECT_EQ(filter_.aborted.size(), 1u);
  EXPECT_TRUE(writer.stored_messages.empty());
  EXPECT_EQ(server->sessions(), 0u);
  filter_.kept[0](result(StageOutcome::Ok));  // too late
  settle();
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, NoticesWithoutAnySweepThatTheClientWentAway) {
  filter_.waits = {MANSIO_STAGE_END_OF_MESSAGE};
  auto peer = ready_for_data();
  send(peer, "x\r\n");
  peer.hang_up();
  filter_.kept[0](result(StageOutcome::Ok));
  settle();
  EXPECT_TRUE(writer.stored_messages.empty());
}

TEST_F(FilteredServer, CommitsForAClientThatSaidGoodbyeAndWaits) {
  filter_.waits = {MANSIO_STAGE_END_OF_MESSAGE};
  auto peer = ready_for_data();
  say(peer, "x\r\n.\r\nQUIT\r\n");
  server->sweep();
  filter_.kept[0](result(StageOutcome::Ok));
  settle();
  EXPECT_THAT(peer.received(), EndsWith("221 2.0.0 Bye\r\n"));
  EXPECT_EQ(writer.stored_messages.size(), 1u);
}

TEST_F(FilteredServer, MayEndWithStagesUnderWay) {
  policy_.waits = {MANSIO_STAGE_RCPT};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n");
  server.reset();
  policy_.kept[0](result(StageOutcome::Ok));
}

TEST_F(FilteredServer, RefusesStartTlsWithoutEndingTheSession) {
  policy_.script[{MANSIO_STAGE_STARTTLS, ""}] = result(StageOutcome::Fail, "no");
  auto peer = greet();
  EXPECT_EQ(say(peer, "STARTTLS\r\n"), "502 5.5.1 Error: command not implemented\r\n");
  EXPECT_THAT(policy_.order(), Not(Contains(MANSIO_STAGE_STARTTLS))) << "there is none to be had";
}

}  // namespace
}  // namespace mansio::ingress
