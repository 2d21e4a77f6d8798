// A lease on its way through generic maps to the transport.
#include "kernel/egress/generic_maps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/io/fd.hpp"
#include "kernel/mail/utf8.hpp"
#include "tests/unit/route/fake_tables.hpp"

namespace mansio::egress {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class LogText final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override { text += line; }
  std::string text;
};

class InnerTransport final : public host::TransportInstance {
 public:
  void start(const wire::Lease &lease, host::MessageSource message) override {
    started.push_back(lease);
    sources.push_back(std::move(message));
  }
  void cancel(std::uint64_t lease) override { cancelled.push_back(lease); }
  std::size_t in_flight() const override { return started.size(); }
  std::uint64_t misbehaviours() const override { return 3; }
  void stats(const host::StatsSink &add) const override { add("inner", 1); }
  std::vector<wire::Lease> started;
  std::vector<host::MessageSource> sources;
  std::vector<std::uint64_t> cancelled;
};

class GenericMapsTest : public ::testing::Test {
 protected:
  GenericMapsTest() {
    settings_.myhostname = "host.internal";
    settings_.mydestination = {"own.internal"};
    settings_.lookups.emplace_back().name = "generic";
    tables_.tables["generic"]["@own.internal"] = "@example.com";
  }
  void SetUp() override {
    auto inner = std::make_unique<InnerTransport>();
    inner_ = inner.get();
    const std::vector<std::string> names{"generic"};
    maps_ = std::make_unique<GenericMaps>(
        loop_, clock_, log_, "relay",
        std::make_shared<const route::Generic>(settings_, names, std::vector<std::string>{}), tables_, std::move(inner),
        [this](std::uint64_t lease, const wire::RecipientOutcome &why) { deferred_.emplace_back(lease, why); });
  }
  void give(std::uint64_t number, const std::string &content, const std::string &sender = "alice@own.internal",
            std::vector<std::string> to = {"bob@elsewhere.example"}) {
    wire::Lease lease;
    lease.lease = number;
    lease.id = MessageId{100 + number};
    lease.sender = sender;
    lease.nexthop = nexthop_;
    lease.deadline = deadline_;
    lease.smtputf8 = lease.body.eight_bit_header = !is_ascii(content);
    for (std::uint32_t i = 0; i < to.size(); ++i) lease.recipients.push_back({i, to[i], "", "", 0});
    lease.body.size = content.size();
    auto fd = std::make_shared<io::UniqueFd>(::memfd_create("message", MFD_CLOEXEC));
    EXPECT_EQ(::write(fd->get(), content.data(), content.size()), static_cast<ssize_t>(content.size()));
    host::MessageSource message;
    message.slices.push_back({sizeof(mansio_slice), fd->get(), 0, content.size()});
    message.keep = fd;
    spool_fd_ = fd->get();
    maps_->start(lease, std::move(message));
  }
  void settle() {
    loop_.restart();
    loop_.poll();
  }
  static std::string text(const host::MessageSource &message) {
    std::string out;
    for (const auto &slice : message.slices) {
      std::string piece(slice.length, '\0');
      EXPECT_EQ(::pread(slice.fd, piece.data(), piece.size(), static_cast<off_t>(slice.offset)),
                static_cast<ssize_t>(piece.size()));
      out += piece;
    }
    return out;
  }

  asio::io_context loop_;
  VirtualClock clock_;
  LogText sink_;
  Logger log_{sink_, clock_, "test"};
  config::Settings settings_;
  route::testing::FakeTables tables_{loop_};
  InnerTransport *inner_ = nullptr;
  std::unique_ptr<GenericMaps> maps_;
  std::vector<std::pair<std::uint64_t, wire::RecipientOutcome>> deferred_;
  int spool_fd_ = -1;
  std::string nexthop_;  // of the next lease
  Nanos deadline_ = 0;
};

TEST_F(GenericMapsTest, RewriteEnvelopeAndHeaderAndLeaveTheBodyWhereItIs) {
  give(1, "From: Alice <alice@own.internal>\r\nTo: bob@elsewhere.example\r\n\r\nalice@own.internal\r\n",
       "alice@own.internal", {"bob@elsewhere.example", "carol@own.internal"});
  EXPECT_THAT(inner_->started, IsEmpty());  // the table has not answered yet
  EXPECT_EQ(maps_->in_flight(), 1u);
  settle();
  ASSERT_THAT(inner_->started, SizeIs(1));
  const auto &lease = inner_->started[0];
  EXPECT_EQ(lease.lease, 1u);
  EXPECT_EQ(lease.sender, "alice@example.com");
  EXPECT_EQ(lease.recipients.at(0).address, "bob@elsewhere.example");
  EXPECT_EQ(lease.recipients.at(1).address, "carol@example.com");
  const auto &message = inner_->sources[0];
  EXPECT_EQ(text(message),
            "From: Alice <alice@example.com>\r\nTo: bob@elsewhere.example\r\n\r\nalice@own.internal\r\n");
  EXPECT_EQ(lease.body.size, text(message).size());
  EXPECT_EQ(message.slices.back().fd, spool_fd_);
  EXPECT_THAT(deferred_, IsEmpty());
}

TEST_F(GenericMapsTest, MailGoesWhereItsRecipientsWereRouted) {
  const std::string content = "From: x@elsewhere.example\r\n\r\n", sender = "x@elsewhere.example";
  give(1, content, sender, {"carol@own.internal"});
  give(2, content, sender, {"bob@elsewhere.example"});                // there is no new address to be misled by
  give(3, content, "alice@own.internal", {"bob@elsewhere.example"});  // nor for the sender's sake
  nexthop_ = "[192.0.2.25]:25";
  give(4, content, sender, {"carol@own.internal"});
  settle();
  std::map<std::uint64_t, std::string> nexthops;
  for (const auto &lease : inner_->started) nexthops[lease.lease] = lease.nexthop;
  EXPECT_THAT(nexthops, ElementsAre(Pair(1u, "own.internal"), Pair(2u, ""), Pair(3u, ""), Pair(4u, "[192.0.2.25]:25")));
}

TEST_F(GenericMapsTest, AMessageWithNothingToRewriteIsPassedOnAsItIs) {
  give(1, "From: x@elsewhere.example\r\n\r\nbody\r\n", "x@elsewhere.example");
  settle();
  ASSERT_THAT(inner_->sources, SizeIs(1));
  ASSERT_THAT(inner_->sources[0].slices, SizeIs(1));
  EXPECT_EQ(inner_->sources[0].slices[0].fd, spool_fd_);
}

TEST_F(GenericMapsTest, TablesThatAnswerAtOnceAreNoDetour) {
  tables_.at_once = true;
  give(1, "From: alice@own.internal\r\n\r\n");
  settle();
  ASSERT_THAT(inner_->started, SizeIs(1));
  EXPECT_EQ(text(inner_->sources[0]), "From: alice@example.com\r\n\r\n");
}

TEST_F(GenericMapsTest, AnAddressInUtf8MakesTheHeaderOne) {
  tables_.tables["generic"]["alice@own.internal"] = "älice@example.com";
  give(1, "From: alice@own.internal\r\n\r\n", "x@elsewhere.example");
  settle();
  ASSERT_THAT(inner_->started, SizeIs(1));
  EXPECT_TRUE(inner_->started[0].smtputf8);
  EXPECT_TRUE(inner_->started[0].body.eight_bit_header);
}

TEST_F(GenericMapsTest, AnAddressInUtf8InTheEnvelopeIsSaidToBeOne) {
  tables_.tables["generic"]["alice@own.internal"] = "älice@example.com";
  give(1, "From: x@elsewhere.example\r\n\r\n");
  settle();
  ASSERT_THAT(inner_->started, SizeIs(1));
  EXPECT_EQ(inner_->started[0].sender, "älice@example.com");
  EXPECT_TRUE(inner_->started[0].smtputf8);
  EXPECT_FALSE(inner_->started[0].body.eight_bit_header);
}

TEST_F(GenericMapsTest, AHeaderWithoutItsLastAddressInUtf8IsOneInAscii) {
  tables_.tables["generic"]["älice@own.internal"] = "alice@example.com";
  give(1, "From: älice@own.internal\r\n\r\n", "x@elsewhere.example");
  give(2, "From: älice@own.internal\r\nSubject: ä\r\n\r\n", "x@elsewhere.example");
  settle();
  ASSERT_THAT(inner_->started, SizeIs(2));
  EXPECT_EQ(text(inner_->sources[0]), "From: alice@example.com\r\n\r\n");
  EXPECT_FALSE(inner_->started[0].body.eight_bit_header);
  EXPECT_TRUE(inner_->started[1].body.eight_bit_header);
}

TEST_F(GenericMapsTest, AnAttemptDoesNotBeginAfterItsEnd) {
  deadline_ = 60 * kSecond;
  give(1, "From: alice@own.internal\r\n\r\n");
  clock_.advance(60 * kSecond);
  settle();
  EXPECT_THAT(inner_->started, IsEmpty());
  ASSERT_THAT(deferred_, SizeIs(1));
  EXPECT_EQ(deferred_[0].second.status, wire::DeliveryStatus::Deferred);
  EXPECT_EQ(deferred_[0].second.text, "no time is left for the delivery");
}

TEST_F(GenericMapsTest, AMessageThatCannotBeReadIsNoTablesFault) {
  wire::Lease lease;
  lease.lease = 1;
  lease.id = MessageId{101};
  host::MessageSource message;
  message.slices.push_back({sizeof(mansio_slice), -1, 0, 10});
  maps_->start(lease, std::move(message));
  settle();
  EXPECT_THAT(inner_->started, IsEmpty());
  ASSERT_THAT(deferred_, SizeIs(1));
  EXPECT_EQ(deferred_[0].second.text, "the message cannot be read now");
  EXPECT_THAT(sink_.text, HasSubstr("header not rewritten"));
}

TEST_F(GenericMapsTest, ATableThatIsDownDefersAndDoesNotAskTheTransport) {
  tables_.down = {"generic"};
  give(7, "From: alice@own.internal\r\n\r\n");
  settle();
  EXPECT_THAT(inner_->started, IsEmpty());
  ASSERT_THAT(deferred_, SizeIs(1));
  EXPECT_EQ(deferred_[0].first, 7u);
  const auto &why = deferred_[0].second;
  EXPECT_EQ(why.status, wire::DeliveryStatus::Deferred);
  EXPECT_EQ(why.smtp_code, 0) << "no server said so";
  EXPECT_EQ(to_string(why.enhanced), "4.3.0");
  EXPECT_EQ(why.text, "Temporary lookup failure");
  EXPECT_FALSE(why.plugin_failed);
  EXPECT_THAT(sink_.text, HasSubstr("connection refused"));
  EXPECT_EQ(maps_->in_flight(), 0u);
}

TEST_F(GenericMapsTest, WhatIsCancelledWhileATableIsAskedNeverComesToTheTransport) {
  give(1, "From: alice@own.internal\r\n\r\n");
  maps_->cancel(1);
  ASSERT_THAT(deferred_, SizeIs(1));
  settle();
  EXPECT_THAT(inner_->started, IsEmpty());
  EXPECT_THAT(deferred_, SizeIs(1));
  maps_->cancel(2);  // what has passed is the transport's
  EXPECT_THAT(inner_->cancelled, ElementsAre(2u));
}

TEST_F(GenericMapsTest, NothingIsTouchedAfterTheEnd) {
  give(1, "From: alice@own.internal\r\n\r\n");
  maps_.reset();
  settle();
  EXPECT_THAT(deferred_, IsEmpty());
}

TEST_F(GenericMapsTest, CountWhatTheyDo) {
  give(1, "From: alice@own.internal\r\n\r\n");
  settle();
  tables_.down = {"generic"};
  give(2, "From: alice@own.internal\r\n\r\n");
  settle();
  std::map<std::string, double> stats;
  maps_->stats([&](const std::string &name, double value) { stats[name] = value; });
  EXPECT_EQ(stats["mansio_generic_rewritten_total{transport=\"relay\"}"], 1);
  EXPECT_EQ(stats["mansio_generic_deferred_total{transport=\"relay\"}"], 1);
  EXPECT_GT(stats["mansio_generic_questions_total{transport=\"relay\"}"], 0);
  EXPECT_EQ(stats["inner"], 1);
}

}  // namespace
}  // namespace mansio::egress
