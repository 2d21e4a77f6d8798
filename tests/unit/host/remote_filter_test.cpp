// A filter in a process of its own, as its user sees it: the test plays that process at the other end of the channel,
// or has FilterService do so.
#include "kernel/host/remote_filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <map>

#include "kernel/host/filter_service.hpp"
#include "kernel/host/large.hpp"
#include "mansio/draft/filter.h"
#include "tests/unit/host/filter_content.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::HasSubstr;
using wire::StageOutcome;

// The far end: keeps what arrives, and answers when told to.
struct FarFilter {
  std::shared_ptr<io::Channel> channel;
  std::deque<wire::StageCall> calls;
  std::deque<std::uint64_t> cancelled;
  std::deque<std::string> aborted, contents;

  FarFilter(asio::io_context &loop, io::UniqueFd socket) : channel(io::Channel::create(loop, std::move(socket))) {
    channel->start(
        [this](io::Message &m) {
          const auto message = received(m);
          ASSERT_TRUE(message);
          if (message->type == wire::StageCall::kType) {
            calls.push_back(*decode<wire::StageCall>(message->payload()));
            char bytes[64] = "";
            if (!m.fds.empty() && ::pread(m.fds.front().get(), bytes, sizeof bytes - 1, 0) > 0)
              contents.emplace_back(bytes);
          }
          if (message->type == wire::StageCancel::kType)
            cancelled.push_back(decode<wire::StageCancel>(message->payload())->number);
          if (message->type == wire::MessageAbort::kType)
            aborted.push_back(decode<wire::MessageAbort>(message->payload())->session);
        },
        [](std::string_view) {});
  }
  ~FarFilter() { channel->close(); }
  void answer(std::uint64_t number, StageOutcome outcome) const {
    wire::StageResult result;
    result.number = number;
    result.outcome = outcome;
    channel->send(result);
  }
};

class RemoteFilterTest : public HostTest {
 protected:
  std::unique_ptr<FarFilter> connect() {
    auto pair = io::channel_pair();
    EXPECT_TRUE(pair.ok());
    auto far = std::make_unique<FarFilter>(loop_, std::move(pair->first));
    remote_.attach(io::Channel::create(loop_, std::move(pair->second)));
    return far;
  }
  std::uint64_t start(const std::string &argument, Nanos within = 60 * kSecond,
                      std::shared_ptr<const FilterContent> content = nullptr) {
    wire::StageCall call;
    call.stage = MANSIO_STAGE_RCPT;
    call.arguments = {argument};
    call.length = content ? content->file.size() : 0;
    call.time_limit = within;
    call.total_limit = 20 * within;
    return remote_.start(
        std::move(call), std::move(content),
        [this, argument](wire::StageResult &&r) {
          EXPECT_TRUE(results_.emplace(argument, std::move(r)).second) << "answered twice";
        },
        nullptr);
  }

  RemoteFilter remote_{loop_, clock_, "filter", "odd", 3};
  std::map<std::string, wire::StageResult> results_;
};

TEST_F(RemoteFilterTest, BelievesNoAnswerThatBreaksTheRules) {
  auto far = connect();
  const auto answers = [&](const std::string &argument, auto change) {
    start(argument);
    ASSERT_TRUE(until([&] { return !far->calls.empty(); }));
    wire::StageResult result;
    result.number = far->calls.front().number;
    result.outcome = StageOutcome::Ok;
    change(result);
    far->calls.clear();
    far->channel->send(result);
    ASSERT_TRUE(until([&] { return results_.contains(argument); }));
  };
  // At RCPT a filter may hold and redirect, and not edit.
  answers("hold", [](auto &r) { r.edits = {{EditKind::Hold, 0, "", "odd\r\none"}}; });
  EXPECT_EQ(results_["hold"].outcome, StageOutcome::Ok);
  EXPECT_EQ(results_["hold"].edits.at(0).value, "odd  one");
  answers("redirect", [](auto &r) { r.edits = {{EditKind::Redirect, 0, "", "a@b.example"}}; });
  EXPECT_EQ(results_["redirect"].outcome, StageOutcome::Ok);
  answers("nobody", [](auto &r) { r.edits = {{EditKind::Redirect, 0, "", "a b"}}; });
  answers("edit", [](auto &r) { r.edits = {{EditKind::AddRecipient, 0, "", "a@b.example"}}; });
  answers("unknown", [](auto &r) { r.edits = {{static_cast<EditKind>(99), 0, "", ""}}; });
  answers("ours", [](auto &r) { r.message_meta = {{"mansio.hold_reason", "x"}}; });
  answers("outcome", [](auto &r) { r.outcome = static_cast<StageOutcome>(9); });
  answers("version", [](auto &r) { r.edits = {{EditKind::Version, 1, "", "a@b.example"}}; });
  for (const auto *argument : {"nobody", "edit", "unknown", "ours", "outcome", "version"}) {
    EXPECT_EQ(results_[argument].outcome, StageOutcome::Failed) << argument;
    EXPECT_THAT(results_[argument].text, HasSubstr("breaks the rules")) << argument;
  }
}

TEST_F(RemoteFilterTest, FailsAtOnceWhenAnAnswerCannotBeRead) {
  auto far = connect();
  start("a");
  ASSERT_TRUE(until([&] { return !far->calls.empty(); }));
  far->channel->send_raw(wire::StageResult::kType, "x", {});
  ASSERT_TRUE(until([&] { return results_.contains("a"); }));
  EXPECT_THAT(results_["a"].text, HasSubstr("could not be read"));
}

TEST_F(RemoteFilterTest, BringsTheVerdictOfTheOtherProcessOnce) {
  const auto far = connect();
  start("a");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  EXPECT_EQ(far->calls[0].arguments.at(0), "a");
  far->answer(far->calls[0].number, StageOutcome::Fail);
  far->answer(far->calls[0].number, StageOutcome::Ok);
  ASSERT_TRUE(until([&] { return results_.contains("a"); }));
  EXPECT_EQ(results_["a"].outcome, StageOutcome::Fail);
}

TEST_F(RemoteFilterTest, HasFailedWhenTheProcessEndsAndWaitsForASuccessor) {
  auto far = connect();
  const auto before = remote_.incarnation();
  start("during");
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  far.reset();
  ASSERT_TRUE(until([&] { return results_.contains("during"); }));
  EXPECT_EQ(results_["during"].outcome, StageOutcome::Failed);
  start("after");
  EXPECT_FALSE(results_.contains("after"));
  far = connect();
  EXPECT_NE(remote_.incarnation(), before);
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  EXPECT_EQ(far->calls[0].arguments.at(0), "after");
}

TEST_F(RemoteFilterTest, FailsAtOnceWithoutAProcess) {
  start("a");
  EXPECT_EQ(results_["a"].text, "its process is not there");
}

TEST_F(RemoteFilterTest, FailsWhenNoSuccessorComes) {
  connect().reset();
  ASSERT_TRUE(until([&] { return remote_.incarnation() == 1; }));
  loop_.poll();
  start("a");
  ASSERT_TRUE(until([&] { return results_.contains("a"); }));
  EXPECT_EQ(results_["a"].outcome, StageOutcome::Failed);
}

TEST_F(RemoteFilterTest, EndsAtItsDeadlineWhateverTheOtherProcessDoes) {
  const auto far = connect();
  start("a", kMillisecond);
  ASSERT_TRUE(until([&] { return results_.contains("a"); }));
  EXPECT_EQ(results_["a"].text, "time limit exceeded");
}

TEST_F(RemoteFilterTest, RefusesMoreThanMayBeUnderWay) {
  const auto far = connect();
  for (const auto *name : {"1", "2", "3", "4"}) start(name);
  EXPECT_EQ(results_.size(), 1u);
  EXPECT_THAT(results_["4"].text, HasSubstr("too much to do"));
}

TEST_F(RemoteFilterTest, PassesCancelAndAbortOn) {
  const auto far = connect();
  const auto number = start("a");
  remote_.cancel(number);
  remote_.abort("s.1", MessageId{1});
  ASSERT_TRUE(until([&] { return far->cancelled.size() == 1 && far->aborted.size() == 1; }));
  EXPECT_EQ(far->cancelled[0], number);
  EXPECT_EQ(far->aborted[0], "s.1");
}

TEST_F(RemoteFilterTest, SendsArgumentsOfAnySizeAndTheMessage) {
  const auto far = connect();
  start(std::string(200'000, 'x'), 60 * kSecond, content_of("bytes"));
  ASSERT_TRUE(until([&] { return far->calls.size() == 1; }));
  EXPECT_EQ(far->calls[0].arguments.at(0).size(), 200'000u);
  ASSERT_EQ(far->contents.size(), 1u);
  EXPECT_EQ(far->contents[0], "bytes");
}

// Both ends, with the plugin of the fixture behind the other one.
class FilterServiceTest : public RemoteFilterTest {
 protected:
  void SetUp() override {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/filter-odd.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = FilterInstance::create({loop_, clock_, log_, dns_}, **plugin, {"odd", {{"stages", "1056"}}, {}, {}},
                                       kFilterKind);
    ASSERT_TRUE(made.ok()) << made.error().text;
    service_ = std::make_unique<FilterService>(std::move(*made));
    auto pair = io::channel_pair();
    ASSERT_TRUE(pair.ok());
    far_ = io::Channel::create(loop_, std::move(pair->first));
    far_->start([this](io::Message &m) { EXPECT_TRUE(service_->receive(far_, m)); }, [](std::string_view) {});
    service_->greet(*far_);
    remote_.attach(io::Channel::create(loop_, std::move(pair->second)));
    ASSERT_TRUE(until([&] { return remote_.stages() == 1056; }));
  }
  void TearDown() override { far_->close(); }
  std::unique_ptr<FilterService> service_;
  std::shared_ptr<io::Channel> far_;
};

TEST_F(FilterServiceTest, AnswersAsInTheSameProcess) {
  start("reject571@example.com");
  start("thread@example.com");
  ASSERT_TRUE(until([&] { return results_.size() == 2; }));
  EXPECT_EQ(results_["reject571@example.com"].smtp_code, 571);
  EXPECT_EQ(results_["thread@example.com"].outcome, StageOutcome::Ok);
}

TEST_F(FilterServiceTest, BringsWhatAPluginWasTold) {
  start("told@example.com");
  ASSERT_TRUE(until([&] { return results_.size() == 1; }));
  EXPECT_EQ(results_["told@example.com"].told, (std::vector<std::string>(2, "asked\tand answered")));
}

TEST_F(FilterServiceTest, ExtendsTheTimeOfOneThatReportsProgressAtBothEnds) {
  start("progress@example.com", 2 * kSecond);
  ASSERT_TRUE(until([&] { return results_.size() == 1; }));
  EXPECT_EQ(results_["progress@example.com"].outcome, StageOutcome::Ok);
}

TEST_F(FilterServiceTest, BringsEditsOfAnySize) {
  const auto content = content_of("X-Do: huge\r\n\r\n");
  wire::StageCall call;
  call.stage = MANSIO_STAGE_END_OF_MESSAGE;
  call.length = content->file.size();
  call.time_limit = call.total_limit = 60 * kSecond;
  remote_.start(
      std::move(call), content, [this](wire::StageResult &&r) { results_["huge"] = std::move(r); }, nullptr);
  ASSERT_TRUE(until([&] { return results_.contains("huge"); }));
  ASSERT_EQ(results_["huge"].edits.size(), 1u) << results_["huge"].text;
  EXPECT_EQ(results_["huge"].edits[0].value.size(), 500'000u);
}

TEST_F(FilterServiceTest, CancelsWhatAClientThatIsGoneHadUnderWay) {
  start("never@example.com");
  ASSERT_TRUE(until([&] { return service_->instance().in_flight() == 1; }));
  service_->gone(far_.get());
  EXPECT_TRUE(results_.empty());
}

}  // namespace
}  // namespace mansio::host
