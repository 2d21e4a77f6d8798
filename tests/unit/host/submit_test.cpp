// What a plugin submits on its way: through its instance (tests/fixtures/submits.c, as a lookup), and over a channel to
// routers that answer, refuse and die.
#include <gmock/gmock.h>

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "kernel/host/large.hpp"
#include "kernel/host/lookup.hpp"
#include "kernel/host/submit_link.hpp"
#include "kernel/process/memfd.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using io::TableAnswer;
using Outcome = TableAnswer::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps what it gets, and answers when it is told to.
class Desk final : public Submitter {
 public:
  struct Call {
    wire::SubmitCall call;
    std::string content;
    Done done;
  };
  void submit(wire::SubmitCall call, io::UniqueFd content, Done done) override {
    auto text = process::read_exactly(content, call.length);
    calls.push_back({std::move(call), text ? *text : "unreadable", std::move(done)});
  }
  void take_permits(wire::PermitsAsk ask, Given done) override {
    wire::PermitsGiven given;
    given.granted = ask.key == "plenty" ? 100 : 0;
    given.retry = 5 * kMillisecond;
    asked.push_back(std::move(ask));
    done(given);
  }
  std::vector<wire::PermitsAsk> asked;
  std::vector<Call> calls;
};

class SubmitTest : public HostTest {
 protected:
  void create(Submitter *submitter) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/submits.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made =
        LookupInstance::create({loop_, clock_, log_, dns_, nullptr, nullptr, submitter}, **plugin, {"odd", {}, {}, {}});
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  void ask(const std::string &key) {
    answer_.reset();
    instance_->lookup(key, 60 * kSecond, [this](const TableAnswer &answer) { answer_ = answer; });
  }
  TableAnswer answer() {
    EXPECT_TRUE(until([&] { return answer_.has_value(); }));
    return answer_.value_or(TableAnswer{});
  }

  Desk desk_;
  std::optional<TableAnswer> answer_;
  std::unique_ptr<LookupInstance> instance_;
};

wire::SubmitResult says(Status status, std::string text = {}, MessageId id = {}) {
  wire::SubmitResult result;
  result.status = status;
  result.text = std::move(text);
  result.id = id;
  return result;
}

TEST_F(SubmitTest, AllOfTheMessageReachesTheSubmitterAndItsAnswerThePlugin) {
  create(&desk_);
  ask("b@example.org");
  ASSERT_TRUE(until([&] { return !desk_.calls.empty(); }));
  const auto &call = desk_.calls[0].call;
  EXPECT_EQ(call.plugin, "lookup odd");
  EXPECT_EQ(call.sender, "plugin@example.com");
  EXPECT_THAT(call.recipients, ElementsAre("b@example.org"));
  EXPECT_THAT(call.metadata, ElementsAre(std::pair{std::string{"campaign"}, std::string{"copies"}},
                                         std::pair{std::string{"seen.by"}, std::string{"submits"}}));
  EXPECT_EQ(desk_.calls[0].content, "Subject: asked\n\nbody\n");
  EXPECT_FALSE(answer_);
  desk_.calls[0].done(says(Status::Ok, {}, MessageId{1234}));
  EXPECT_THAT(answer().values, ElementsAre(to_string(MessageId{1234})));
}

TEST_F(SubmitTest, WhatIsNotTakenIsToComeAgain) {
  create(&desk_);
  ask("b@example.org");
  ASSERT_TRUE(until([&] { return !desk_.calls.empty(); }));
  desk_.calls[0].done(says(Status::Defer, "Too much mail is waiting"));
  EXPECT_EQ(answer().outcome, Outcome::TryLater);
  EXPECT_THAT(answer().text, HasSubstr("Too much mail is waiting"));
}

TEST_F(SubmitTest, WithoutAQueueNothingIsTaken) {
  create(nullptr);
  ask("b@example.org");
  EXPECT_EQ(answer().outcome, Outcome::TryLater);
  EXPECT_THAT(answer().text, HasSubstr("there is no queue here"));
}

TEST_F(SubmitTest, WhatIsNoSubmissionGoesNowhere) {
  create(&desk_);
  ask("malformed");
  EXPECT_THAT(answer().text, HasSubstr("malformed"));
  EXPECT_TRUE(desk_.calls.empty());
}

TEST_F(SubmitTest, AnAnswerThatComesWhenTheInstanceHasGoneFindsNobody) {
  create(&desk_);
  ask("b@example.org");
  ASSERT_TRUE(until([&] { return !desk_.calls.empty(); }));
  instance_.reset();
  desk_.calls[0].done(says(Status::Ok, {}, MessageId{1}));
}

class TakesTest : public SubmitTest {
 protected:
  void create_taker(Submitter *submitter) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/takes.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = LookupInstance::create({loop_, clock_, log_, dns_, nullptr, nullptr, submitter}, **plugin,
                                       {"odd", {{"limit", "tenant_rate_limit"}}, {}, {}});
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
};

TEST_F(TakesTest, PermitsAreAskedForAndNoMoreAreGivenThanWereWanted) {
  create_taker(&desk_);
  ask("plenty");
  EXPECT_THAT(answer().values, ElementsAre("3"));
  ASSERT_EQ(desk_.asked.size(), 1u);
  EXPECT_EQ(desk_.asked[0].limit, "tenant_rate_limit");
  EXPECT_EQ(desk_.asked[0].want, 3u);
  ask("none");
  EXPECT_EQ(answer().outcome, Outcome::TryLater);
}

TEST_F(TakesTest, WithoutAQueueThereAreNone) {
  create_taker(nullptr);
  ask("plenty");
  EXPECT_EQ(answer().outcome, Outcome::TryLater);
}

// A router's end of a channel.
struct FakeRouter {
  std::shared_ptr<io::Channel> channel;
  std::vector<std::pair<wire::SubmitCall, std::string>> calls;
};

class SubmitLinkTest : public HostTest {
 protected:
  std::unique_ptr<FakeRouter> router() {
    auto pair = io::channel_pair();
    auto made = std::make_unique<FakeRouter>();
    made->channel = io::Channel::create(loop_, std::move(pair->first));
    made->channel->start(
        [to = made.get()](io::Message &m) {
          const auto call = decode<wire::SubmitCall>(m.payload);
          ASSERT_TRUE(call && m.fds.size() == 1);
          const auto content = process::read_exactly(m.fds[0], call->length);
          to->calls.emplace_back(*call, content ? *content : "unreadable");
        },
        [](std::string_view) {});
    link_.attach(io::Channel::create(loop_, std::move(pair->second)));
    return made;
  }
  void submit(int which) {
    wire::SubmitCall call;
    call.sender = std::to_string(which);
    call.length = 2;
    link_.submit(std::move(call), std::move(*process::sealed_memfd("test", "hi")),
                 [this, which](wire::SubmitResult &&r) { said_[which] = std::move(r); });
  }
  bool waits(const FakeRouter &router, std::size_t calls) {
    return until([&] { return router.calls.size() == calls; });
  }

  SubmitLink link_{3};
  std::map<int, wire::SubmitResult> said_;
};

TEST_F(SubmitLinkTest, EachIsAnsweredWithItsOwnResult) {
  auto r = router();
  submit(1);
  submit(2);
  ASSERT_TRUE(waits(*r, 2));
  EXPECT_EQ(r->calls[0].second, "hi");
  for (const auto i : {1u, 0u}) {
    auto result = says(Status::Ok, {}, MessageId{100 + i});
    result.number = r->calls[i].first.number;
    r->channel->send(result);
  }
  ASSERT_TRUE(until([&] { return said_.size() == 2; }));
  EXPECT_EQ(said_[1].id, MessageId{100});
  EXPECT_EQ(said_[2].id, MessageId{101});
}

TEST_F(SubmitLinkTest, WithoutARouterAndBeyondItsLimitItIsTryLaterAtOnce) {
  submit(1);
  EXPECT_EQ(said_[1].status, Status::Defer);
  auto r = router();
  for (int i = 2; i < 6; ++i) submit(i);
  ASSERT_TRUE(waits(*r, 3));
  EXPECT_EQ(said_.size(), 2u);
  EXPECT_EQ(said_[5].status, Status::Defer);
}

TEST_F(SubmitLinkTest, WhatADeadRouterHadIsTryLaterAndItsSuccessorIsAsked) {
  auto r = router();
  submit(1);
  ASSERT_TRUE(waits(*r, 1));
  r->channel->close();
  ASSERT_TRUE(until([&] { return said_.contains(1); }));
  EXPECT_EQ(said_[1].status, Status::Defer);
  EXPECT_THAT(said_[1].text, HasSubstr("may have taken"));
  auto next = router();
  submit(2);
  EXPECT_TRUE(waits(*next, 1));
}

TEST_F(SubmitLinkTest, TheNewerOfTwoRoutersIsAskedAndTheOlderMayStillAnswer) {
  auto old = router();
  submit(1);
  ASSERT_TRUE(waits(*old, 1));
  auto next = router();
  submit(2);
  ASSERT_TRUE(waits(*next, 1));
  auto result = says(Status::Ok, {}, MessageId{7});
  result.number = old->calls[0].first.number;
  old->channel->send(result);
  ASSERT_TRUE(until([&] { return said_.contains(1); }));
  EXPECT_EQ(said_[1].id, MessageId{7});
  next->channel->close();  // and then it is all there is
  ASSERT_TRUE(until([&] { return said_.contains(2); }));
  submit(3);
  EXPECT_TRUE(waits(*old, 2));
}

TEST_F(SubmitLinkTest, PermitsOfADeadRouterAreNone) {
  std::vector<wire::PermitsGiven> given;
  const auto take = [&] { link_.take_permits({}, [&](const wire::PermitsGiven &g) { given.push_back(g); }); };
  take();
  ASSERT_EQ(given.size(), 1u);  // there is no router
  EXPECT_EQ(given[0].granted, 0u);
  auto pair = io::channel_pair();
  const auto channel = io::Channel::create(loop_, std::move(pair->first));
  std::vector<std::uint64_t> asked;
  channel->start([&](io::Message &m) { asked.push_back(decode<wire::PermitsAsk>(m.payload)->number); },
                 [](std::string_view) {});
  link_.attach(io::Channel::create(loop_, std::move(pair->second)));
  take();
  take();
  ASSERT_TRUE(until([&] { return asked.size() == 2; }));
  wire::PermitsGiven some;
  some.number = asked[1];
  some.granted = 7;
  channel->send(some);
  ASSERT_TRUE(until([&] { return given.size() == 2; }));
  EXPECT_EQ(given[1].granted, 7u);
  channel->close();
  ASSERT_TRUE(until([&] { return given.size() == 3; }));
  EXPECT_EQ(given[2].granted, 0u);
  EXPECT_GT(given[2].retry, 0);
}

TEST_F(SubmitLinkTest, MoreRecipientsThanAFrameHoldsGoAllTheSame) {
  auto pair = io::channel_pair();
  const auto channel = io::Channel::create(loop_, std::move(pair->first));
  std::size_t recipients = 0;
  std::string content;
  channel->start(
      [&](io::Message &m) {
        const auto got = received(m);
        ASSERT_TRUE(got);
        const auto call = decode<wire::SubmitCall>(got->payload());
        ASSERT_TRUE(call && m.fds.size() == 1);
        recipients = call->recipients.size();
        if (auto text = process::read_exactly(m.fds[0], call->length)) content = *text;
      },
      [](std::string_view) {});
  link_.attach(io::Channel::create(loop_, std::move(pair->second)));
  wire::SubmitCall call;
  call.recipients.assign(10'000, "somebody@example.com");
  call.length = 2;
  link_.submit(std::move(call), std::move(*process::sealed_memfd("test", "hi")), [](wire::SubmitResult &&) {});
  EXPECT_TRUE(until([&] { return recipients == 10'000; }));
  EXPECT_EQ(content, "hi");
}

}  // namespace
}  // namespace mansio::host
