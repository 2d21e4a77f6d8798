// The host against plugins that behave badly: tests/fixtures/transport-odd.c does as the sender says.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <optional>

#include "kernel/host/transport.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using wire::DeliveryStatus;

struct Done {
  wire::RecipientOutcome last;
  bool site_failure = false;
};

class TransportInstanceTest : public HostTest {
 protected:
  void create(const std::string &mode = "polite") {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/transport-odd.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    InstanceOptions options{"odd", {{"mode", mode}, {"name", "n"}}, {}};
    TransportInstance::Events events;
    events.recipient = [this](std::uint64_t lease, const wire::RecipientOutcome &o) {
      recipients_[lease].push_back(o);
    };
    events.complete = [this](std::uint64_t lease, const wire::RecipientOutcome &last, bool site, const std::string &) {
      EXPECT_TRUE(done_.emplace(lease, Done{last, site}).second) << "completed twice";
    };
    events.working_on = [this](std::uint64_t message) { marker_.push_back(message); };
    auto made = TransportInstance::create({loop_, clock_, log_, dns_}, **plugin, options, events);
    if (made)
      instance_ = std::move(*made);
    else
      error_ = made.error();
  }
  void start(std::uint64_t lease, const std::string &how, Nanos within = 60 * kSecond, std::size_t n_recipients = 1) {
    wire::Lease l;
    l.lease = lease;
    l.id = MessageId{1000 + lease};
    l.sender = how;
    l.deadline = clock_.mono() + within;
    for (std::uint32_t i = 0; i < n_recipients; ++i)
      l.recipients.push_back({i, "r" + std::to_string(i) + "@example.com", "", "", 0});
    instance_->start(l, source_);
  }
  const Done &finished(std::uint64_t lease) {
    EXPECT_TRUE(until([&] { return done_.contains(lease); }));
    return done_[lease];
  }

  MessageSource source_;
  std::map<std::uint64_t, std::vector<wire::RecipientOutcome>> recipients_;
  std::map<std::uint64_t, Done> done_;
  std::vector<std::uint64_t> marker_;
  std::optional<Error> error_;
  std::unique_ptr<TransportInstance> instance_;
};

TEST_F(TransportInstanceTest, TakesTheFirstOfTwoLastWords) {
  create();
  start(1, "twice");
  EXPECT_EQ(finished(1).last.text, "first");
  EXPECT_EQ(finished(1).last.status, DeliveryStatus::Sent);
  loop_.poll();
  EXPECT_EQ(instance_->misbehaviours(), 1u);
  EXPECT_THAT(lines_.text, ::testing::HasSubstr("plugin misbehaves"));
  EXPECT_EQ(instance_->in_flight(), 0u);
}

TEST_F(TransportInstanceTest, IgnoresALateAnswerEvenWhenItsSlotIsInUseAgain) {
  create();
  start(1, "crash-marker");
  finished(1);
  start(2, "late");
  EXPECT_EQ(finished(2).last.text, "in time");
  EXPECT_EQ(instance_->misbehaviours(), 1u);
  EXPECT_EQ(done_.size(), 2u);
}

TEST_F(TransportInstanceTest, EndsAnOperationAtItsDeadlineWithWhatThePluginSays) {
  create("polite");
  start(1, "never", 5 * kMillisecond);
  EXPECT_EQ(finished(1).last.status, DeliveryStatus::Deferred);
  EXPECT_EQ(finished(1).last.text, "as you wish");
}

TEST_F(TransportInstanceTest, EndsAnOperationAtItsDeadlineAsUncertainWhenThePluginSaysNothing) {
  create("rude");
  start(1, "never", 5 * kMillisecond);
  EXPECT_EQ(finished(1).last.status, DeliveryStatus::Uncertain);
  EXPECT_EQ(finished(1).last.text, "delivery: time limit exceeded");
  EXPECT_EQ(instance_->in_flight(), 0u);
}

TEST_F(TransportInstanceTest, CancelIsACourtesyThatThePluginAnswers) {
  create();
  start(1, "cancel");
  EXPECT_EQ(instance_->in_flight(), 1u);
  instance_->cancel(1);
  EXPECT_EQ(finished(1).last.text, "as you wish");
  instance_->cancel(1);  // stale: nothing happens
  instance_->cancel(77);
}

TEST_F(TransportInstanceTest, TakesAnswersFromTimersAndThreads) {
  source_ = {};
  const int fd = ::memfd_create("message", MFD_CLOEXEC);
  ASSERT_EQ(::write(fd, "xxhello world\r\n", 15), 15);
  source_.slices = {{sizeof(mansio_slice), fd, 2, 5}, {sizeof(mansio_slice), fd, 7, 6}};
  create();
  start(1, "timer");
  start(2, "thread");
  EXPECT_EQ(finished(1).last.text, "from a timer");
  EXPECT_EQ(finished(2).last.text, "hello world");
  EXPECT_EQ(finished(2).last.status, DeliveryStatus::Sent);
  instance_.reset();
  ::close(fd);
}

TEST_F(TransportInstanceTest, ReportsEachRecipientOnceAndMakesRepliesSafe) {
  create();
  start(1, "each", 60 * kSecond, 3);
  const auto &last = finished(1);
  ASSERT_EQ(recipients_[1].size(), 1u);
  EXPECT_EQ(recipients_[1][0].index, 0u);
  EXPECT_EQ(recipients_[1][0].smtp_code, 250);
  EXPECT_EQ(instance_->misbehaviours(), 2u);
  EXPECT_EQ(last.last.status, DeliveryStatus::Bounced);
  EXPECT_EQ(to_string(last.last.enhanced), "5.1.1");
  EXPECT_EQ(last.last.text, "line  end");
  EXPECT_TRUE(last.site_failure);
}

TEST_F(TransportInstanceTest, TakesNoTooShortReplyForADelivery) {
  create();
  start(1, "short", 60 * kSecond, 2);
  const auto &last = finished(1).last;
  ASSERT_EQ(recipients_[1].size(), 1u);
  for (const auto &outcome : {recipients_[1][0], last}) {
    EXPECT_EQ(outcome.status, DeliveryStatus::Deferred);
    EXPECT_TRUE(outcome.plugin_failed);
    EXPECT_EQ(outcome.text, "the plugin gave no whole reply");
  }
  EXPECT_EQ(instance_->misbehaviours(), 2u);
}

TEST_F(TransportInstanceTest, TellsTheTlsPolicyOfTheMetadata) {
  create();
  wire::Lease lease;
  lease.lease = 1;
  lease.sender = "policy";
  lease.recipients.push_back({0, "r@example.com", "", "", 0});
  lease.metadata = {{"tls", "none"}, {"tls_policy", "secure:mx.example.net"}};
  instance_->start(lease, source_);
  EXPECT_EQ(finished(1).last.text, "secure:mx.example.net");
  start(2, "policy");
  EXPECT_EQ(finished(2).last.text, "");
}

TEST_F(TransportInstanceTest, SaysHowTheClientHasAuthenticated) {
  create();
  wire::Lease l;
  l.lease = 1;
  l.sender = "sasl";
  l.auth_method = "PLAIN";
  l.auth_user = "alice";
  l.auth_sender = "a@example.org";
  l.deadline = clock_.mono() + 60 * kSecond;
  instance_->start(l, source_);
  EXPECT_EQ(finished(1).last.text, "PLAIN alice a@example.org");
}

TEST_F(TransportInstanceTest, MarksTheMessageWhosePluginCodeRuns) {
  create();
  marker_.clear();
  start(1, "timer");
  finished(1);
  EXPECT_THAT(marker_, ::testing::ElementsAre(1001u, 0u, 1001u, 0u));  // start, then its timer
}

TEST_F(TransportInstanceTest, SaysWhenAPluginRefusesItsConfiguration) {
  create("refuse");
  ASSERT_TRUE(error_.has_value());
  EXPECT_EQ(error_->status, Status::BadConfig);
  EXPECT_THAT(lines_.text, ::testing::HasSubstr("mode is refuse"));
  EXPECT_THAT(error_->text, ::testing::HasSubstr("transport odd: transport-odd did not start: mode is refuse"));
}

TEST_F(TransportInstanceTest, MayGoAwayWithOperationsUnderWay) {
  create();
  start(1, "never");
  start(2, "thread");
  instance_.reset();
  loop_.poll();
  EXPECT_TRUE(done_.empty());
}

}  // namespace
}  // namespace mansio::host
