// Mail that stores keep, too: in them first, and refused when one does not take it.
#include <gmock/gmock.h>
#include <unistd.h>

#include <deque>
#include <string>

#include "kernel/base/crc32c.hpp"
#include "kernel/host/store_set.hpp"
#include "kernel/mail/stored_copy.hpp"
#include "kernel/wire/store_messages.hpp"
#include "tests/unit/ingress/filter_fixture.hpp"

namespace mansio::ingress::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The process of a store: notes what it is to keep, and answers when it is told to.
struct FarStore {
  std::shared_ptr<io::Channel> channel;
  std::deque<wire::StoreCommit> commits;
  std::deque<std::string> contents;

  FarStore(asio::io_context &loop, io::UniqueFd socket) : channel(io::Channel::create(loop, std::move(socket))) {
    channel->start(
        [this](io::Message &m) {
          ASSERT_EQ(m.type, wire::StoreCommit::kType);
          commits.push_back(*decode<wire::StoreCommit>(m.payload));
          std::string content(commits.back().length, '\0');
          ASSERT_FALSE(m.fds.empty());
          ASSERT_EQ(::pread(m.fds.front().get(), content.data(), content.size(), 0),
                    static_cast<ssize_t>(content.size()));
          contents.push_back(std::move(content));
        },
        [](std::string_view) {});
  }
  ~FarStore() { channel->close(); }
  void answer(wire::StoreStatus status) {
    ASSERT_FALSE(commits.empty());
    channel->send(wire::StoreResult{commits.front().number, status, "no room"});
    commits.pop_front();
  }
};

class StoresTest : public SmtpServerTest {
 protected:
  void SetUp() override {
    for (const auto *name : {"one", "two"}) {
      config::Store store;
      store.name = name;
      settings.stores.push_back(store);
    }
    stores = host::StoreSet::create(settings, loop, clock, log);
    server = std::make_unique<Server>(
        Environment{loop, clock, log, settings, 7, writer, policy, intake, census, nullptr, nullptr, stores.get()});
    one = connect_store("one");
    two = connect_store("two");
  }
  void TearDown() override {
    server.reset();
    one.reset();
    two.reset();
    stores.reset();
  }
  std::unique_ptr<FarStore> connect_store(const std::string &name) {
    auto pair = io::channel_pair();
    EXPECT_TRUE(pair.ok());
    auto far = std::make_unique<FarStore>(loop, std::move(pair->first));
    EXPECT_TRUE(stores->attach("host.store." + name, io::Channel::create(loop, std::move(pair->second))));
    return far;
  }

  // A filter gives e@d.example another message than c@d.example.
  Peer ready_for_data_of_two_versions() {
    filter.script[{MANSIO_STAGE_END_OF_MESSAGE, ""}] =
        edits_of({{EditKind::Version, 1, "", "e@d.example"}, {EditKind::AddHeader, 0, "X", "1", 1}});
    service.filters = chain_of({{&filter, "filter.f", config::OnFailure::Defer, kSecond, kSecond}});
    auto peer = greet();
    say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n");
    return peer;
  }
  // Both stores have got the message, and answer so.
  void both_answer(wire::StoreStatus status) {
    settle();
    one->answer(wire::StoreStatus::Ok);
    two->answer(status);
    settle();
  }

  std::unique_ptr<host::StoreSet> stores;
  std::unique_ptr<FarStore> one, two;
  FakeFilter filter;
};

TEST_F(StoresTest, AMessageIsInAllOfThemBeforeItIsInTheSpoolAndBeforeItsClientHearsOfIt) {
  auto peer = ready_for_data();
  EXPECT_EQ(say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n"), "");
  ASSERT_EQ(one->commits.size(), 1u);
  ASSERT_EQ(two->commits.size(), 1u);
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  one->answer(wire::StoreStatus::Ok);
  settle();
  EXPECT_EQ(peer.received(), "");
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  two->answer(wire::StoreStatus::Ok);
  settle();
  EXPECT_THAT(peer.received(), StartsWith("250 2.0.0 Ok: queued as "));
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  EXPECT_EQ(intake.noticed.size(), 1u);
  EXPECT_THAT(intake.given_up, IsEmpty());
}

TEST_F(StoresTest, TheCopyIsWhatTheSpoolHas) {
  auto peer = ready_for_data();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  ASSERT_EQ(one->contents.size(), 1u);
  const auto copy = one->contents.front();
  EXPECT_EQ(one->contents, two->contents);
  const auto key = one->commits.front().key;
  one->answer(wire::StoreStatus::Ok);
  two->answer(wire::StoreStatus::Ok);
  settle();
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &stored = writer.stored_messages.front();
  EXPECT_EQ(key.spool, intake.spool_name);
  EXPECT_EQ(key.id, stored.id);
  const auto head = decode_copy_head(copy);
  ASSERT_TRUE(head.ok()) << head.error().text;
  const auto envelope = copy.substr(kCopyHead, head->envelope_length);
  const auto body = copy.substr(kCopyHead + head->envelope_length);
  EXPECT_EQ(envelope, encode_envelope(stored.envelope));
  EXPECT_EQ(body, stored.prefix + stored.body);
  EXPECT_EQ(head->body_length, body.size());
  EXPECT_EQ(head->envelope_crc, crc32c(envelope));
  EXPECT_EQ(head->body_crc, crc32c(body));
  EXPECT_EQ(stored.envelope.body.size, body.size());
}

TEST_F(StoresTest, WhatOneOfThemDoesNotTakeIsRefusedAndNotInTheSpool) {
  auto peer = ready_for_data();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  const auto id = one->commits.front().key.id;
  one->answer(wire::StoreStatus::Ok);
  two->answer(wire::StoreStatus::Failed);
  settle();
  EXPECT_THAT(peer.received(), StartsWith("451 4.3.0 "));
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_THAT(intake.noticed, IsEmpty());
  EXPECT_THAT(intake.given_up, ElementsAre(id)) << "the other one is to forget it";
  EXPECT_THAT(sink.text, HasSubstr("no room"));
  EXPECT_EQ(say(peer, "NOOP\r\n"), "250 2.0.0 Ok\r\n");
}

TEST_F(StoresTest, AllVersionsOfAMessageAreInThemBeforeOneIsInTheSpool) {
  auto peer = ready_for_data_of_two_versions();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  both_answer(wire::StoreStatus::Ok);
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_EQ(peer.received(), "");
  both_answer(wire::StoreStatus::Ok);
  EXPECT_THAT(peer.received(), StartsWith("250 2.0.0 Ok: queued as "));
  EXPECT_EQ(writer.stored_messages.size(), 2u);
}

TEST_F(StoresTest, OfVersionsOfAMessageOneThatIsNotTakenLeavesNone) {
  auto peer = ready_for_data_of_two_versions();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  const auto first = one->commits.front().key.id;
  both_answer(wire::StoreStatus::Ok);
  const auto second = one->commits.front().key.id;
  both_answer(wire::StoreStatus::Failed);
  EXPECT_THAT(peer.received(), StartsWith("451 4.3.0 "));
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_THAT(intake.given_up, ElementsAre(first, second));
}

TEST_F(StoresTest, WhatTheSpoolDoesNotTakeThenIsToBeForgotten) {
  writer.commit_fails = Error{Status::Defer, "a bad disk"};
  auto peer = ready_for_data();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  const auto id = one->commits.front().key.id;
  one->answer(wire::StoreStatus::Ok);
  two->answer(wire::StoreStatus::Ok);
  settle();
  EXPECT_THAT(peer.received(), StartsWith("451 4.3.0 "));
  EXPECT_THAT(intake.given_up, ElementsAre(id));
}

TEST_F(StoresTest, ANoticeToThePostmasterIsMailAsAnyOther) {
  settings.queue.notify_classes = {"policy"};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n");
  settle();
  ASSERT_EQ(one->commits.size(), 1u);
  ASSERT_EQ(two->commits.size(), 1u);
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  one->answer(wire::StoreStatus::Ok);
  two->answer(wire::StoreStatus::Ok);
  settle();
  ASSERT_EQ(writer.stored_messages.size(), 1u);
  const auto &stored = writer.stored_messages.front();
  EXPECT_THAT(one->contents.front(), HasSubstr(stored.prefix + stored.body));
  EXPECT_THAT(intake.noticed, ElementsAre(stored.id));
  EXPECT_THAT(intake.given_up, IsEmpty());
}

TEST_F(StoresTest, ANoticeThatAStoreDoesNotTakeIsNotWritten) {
  settings.queue.notify_classes = {"policy"};
  auto peer = greet();
  say(peer, "MAIL FROM:<a@b.example>\r\nRCPT TO:<x@elsewhere.example>\r\nQUIT\r\n");
  settle();
  ASSERT_EQ(one->commits.size(), 1u);
  one->answer(wire::StoreStatus::Failed);
  two->answer(wire::StoreStatus::Ok);
  settle();
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_EQ(intake.given_up.size(), 1u);
  EXPECT_THAT(sink.text, HasSubstr("notice to the postmaster not written"));
}

TEST_F(StoresTest, WithoutANameOfTheSpoolNothingIsCommitted) {
  auto peer = ready_for_data();
  intake.spool_name = 0;
  EXPECT_THAT(say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n"), StartsWith("451 4.3.0 "));
  EXPECT_THAT(one->commits, IsEmpty());
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\n"), StartsWith("451 4.3.0 Mail store is unavailable"));
}

TEST_F(StoresTest, MailIsRefusedBeforehandWhileAStoreIsAway) {
  two.reset();
  settle();
  auto peer = greet();
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\nRSET\r\n"), "250 2.1.0 Ok\r\n250 2.0.0 Ok\r\n")
      << "for a moment it is waited for";
  clock.advance(10 * kSecond);
  EXPECT_THAT(say(peer, "MAIL FROM:<a@b.example>\r\n"), StartsWith("451 4.3.0 Mail store is unavailable"));
  two = connect_store("two");
  EXPECT_EQ(say(peer, "MAIL FROM:<a@b.example>\r\n"), "250 2.1.0 Ok\r\n");
}

TEST_F(StoresTest, AStoreThatEndsMeanwhileHasNotTakenIt) {
  auto peer = ready_for_data();
  say(peer, "Subject: x\r\n\r\nbody\r\n.\r\n");
  one->answer(wire::StoreStatus::Ok);
  two.reset();
  settle();
  EXPECT_THAT(peer.received(), StartsWith("451 4.3.0 "));
  EXPECT_THAT(writer.stored_messages, IsEmpty());
  EXPECT_EQ(intake.given_up.size(), 1u);
}

}  // namespace
}  // namespace mansio::ingress::testing
