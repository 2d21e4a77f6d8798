// The host against lookups that behave badly: tests/fixtures/lookup-odd.c does as the key says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "kernel/host/lookup.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using io::TableAnswer;
using Outcome = TableAnswer::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class OneTable final : public io::Tables {
 public:
  bool has(std::string_view table) const override { return table == "other"; }
  void query(std::string_view table, std::string_view key, std::function<void(const TableAnswer &)> done) override {
    done({Outcome::Found, {std::string{table}, std::string{key}}, {}, 0});
  }
};

class LookupInstanceTest : public HostTest {
 protected:
  void create(const std::string &name = "lookup-odd", Limits limits = {}) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/" + name + ".so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made = LookupInstance::create({loop_, clock_, log_, dns_, &tables_}, **plugin, {"odd", {}, {}, limits});
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  void start(int number, const std::string &key, Nanos within = 60 * kSecond) {
    instance_->lookup(key, within, [this, number](const TableAnswer &answer) {
      EXPECT_TRUE(answers_.emplace(number, answer).second) << "answered twice";
    });
  }
  const TableAnswer &answer(int number) {
    EXPECT_TRUE(until([&] { return answers_.contains(number); }));
    return answers_[number];
  }
  TableAnswer ask(const std::string &key, Nanos within = 60 * kSecond) {
    start(++last_, key, within);
    return answer(last_);
  }
  double stat(const std::string &prefix) {
    double found = -1;
    instance_->stats([&](const std::string &name, double value) {
      if (name.starts_with(prefix + "{")) found = value;
    });
    return found;
  }

  OneTable tables_;
  std::map<int, TableAnswer> answers_;
  int last_ = 1000;
  std::unique_ptr<LookupInstance> instance_;
};

TEST_F(LookupInstanceTest, HasThreeOutcomes) {
  create();
  EXPECT_THAT(ask("value").values, ElementsAre("value in odd"));
  EXPECT_THAT(ask("two").values, ElementsAre("a", "b"));
  EXPECT_EQ(ask("no").outcome, Outcome::NotFound);
  EXPECT_EQ(ask("down").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("down").text, "the server  is down");
}

TEST_F(LookupInstanceTest, NeverTakesAnOddAnswerForOneThatTheKeyIsNotThere) {
  create();
  EXPECT_EQ(ask("empty").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("strange").outcome, Outcome::TryLater);
  EXPECT_EQ(ask("unknown").outcome, Outcome::TryLater);
}

TEST_F(LookupInstanceTest, ATooShortReplySaysNothing) {
  create();
  const auto answer = ask("short");
  EXPECT_EQ(answer.outcome, Outcome::TryLater);
  EXPECT_TRUE(answer.failed);
  EXPECT_EQ(answer.text, "the plugin gave no whole reply");
  EXPECT_EQ(instance_->misbehaviours(), 1u);
}

TEST_F(LookupInstanceTest, AnswersAtOnceWithoutTheLoopWhenThePluginDoes) {
  create();
  start(1, "value");
  EXPECT_TRUE(answers_.contains(1));
}

TEST_F(LookupInstanceTest, TakesTheFirstOfTwoAnswersAndCountsTheOther) {
  create();
  EXPECT_THAT(ask("twice").values, ElementsAre("first"));
  EXPECT_EQ(instance_->misbehaviours(), 1u);
  EXPECT_THAT(ask("late").values, ElementsAre("in time"));
  EXPECT_EQ(instance_->misbehaviours(), 2u);
}

TEST_F(LookupInstanceTest, EndsALookupAtItsDeadline) {
  create();
  const auto answer = ask("never", 5 * kMillisecond);
  EXPECT_EQ(answer.outcome, Outcome::TryLater);
  EXPECT_EQ(answer.text, "time limit exceeded");
  EXPECT_EQ(instance_->in_flight(), 0u);
  // The answer that comes now is late, which is no fault of a plugin that cannot stop.
  EXPECT_THAT(ask("late").values, ElementsAre("in time"));
  EXPECT_EQ(instance_->misbehaviours(), 0u);
  EXPECT_EQ(stat("mansio_plugin_late_answers_total"), 1);
  EXPECT_EQ(stat("mansio_plugin_timed_out_total"), 1);
}

TEST_F(LookupInstanceTest, RefusesMoreThanItMayHaveUnderWay) {
  create("lookup-odd", {2, 0, 100});
  start(1, "never");
  start(2, "never");
  EXPECT_EQ(ask("value").text, "the lookup has too much to do");
  EXPECT_EQ(stat("mansio_plugin_refused_total"), 1);
  EXPECT_EQ(stat("mansio_plugin_operations_in_flight"), 2);
}

TEST_F(LookupInstanceTest, ABreakerOpensWhenThePluginFailsInARow) {
  create("lookup-odd", {100, 0, 100, 2, 60 * kSecond, 3600 * kSecond});
  ask("empty");
  ask("down");  // is an answer
  ask("empty");
  EXPECT_EQ(ask("no").outcome, Outcome::NotFound);
  ask("empty");
  EXPECT_EQ(ask("never", kMillisecond).text, "time limit exceeded");
  EXPECT_THAT(lines_.text, HasSubstr("breaker open: the plugin keeps failing"));
  const auto refused = ask("value");
  EXPECT_EQ(refused.outcome, Outcome::TryLater);
  EXPECT_TRUE(refused.failed);
  EXPECT_THAT(refused.text, HasSubstr("is not asked for a while"));
  EXPECT_EQ(stat("mansio_plugin_refused_total"), 1);
}

TEST_F(LookupInstanceTest, ABreakerClosesWhenThePluginAnswersAgain) {
  create("lookup-odd", {100, 0, 100, 1, 60 * kSecond, kMillisecond});
  ask("empty");
  EXPECT_THAT(lines_.text, HasSubstr("breaker open"));
  while (ask("value").outcome != Outcome::Found) continue;
  EXPECT_THAT(lines_.text, HasSubstr("breaker closed: the plugin answers again"));
}

TEST_F(LookupInstanceTest, TakesAnAnswerFromAThreadButNoTimer) {
  create();
  EXPECT_THAT(ask("thread").values, ElementsAre("from a thread"));
  loop_.poll();
  EXPECT_EQ(instance_->misbehaviours(), 1u);
  EXPECT_THAT(lines_.text, HasSubstr("called timer() from a wrong thread"));
}

TEST_F(LookupInstanceTest, AsksAnotherTableForThePlugin) {
  create();
  EXPECT_THAT(ask("chain").values, ElementsAre("other", "k"));
}

TEST_F(LookupInstanceTest, DropsLinesOfAPluginThatFloodsTheLog) {
  create("lookup-odd", {100, 0, 10});
  EXPECT_THAT(ask("flood").values, ElementsAre("flooded"));
  EXPECT_LT(lines_.count, 200u);
  EXPECT_GT(stat("mansio_plugin_log_lines_dropped_total"), 99'000);
}

TEST_F(LookupInstanceTest, ShowsWhatThePluginCounts) {
  create();
  ask("value");
  ask("no");
  EXPECT_EQ(stat("mansio_plugin_asked_total"), 2);
  EXPECT_EQ(stat("mansio_plugin_operations_total"), 2);
}

TEST_F(LookupInstanceTest, RunsABlockingPluginOnThreads) {
  create("lookup-blocking");
  start(1, "meet");  // each waits for the other
  start(2, "meet");
  EXPECT_THAT(answer(1).values, ElementsAre("met"));
  EXPECT_THAT(answer(2).values, ElementsAre("met"));
  EXPECT_THAT(ask("value").values, ElementsAre("value in odd"));
  EXPECT_EQ(ask("down").outcome, Outcome::TryLater);
  EXPECT_THAT(ask("chain").values, ElementsAre("other", "k"));
}

TEST_F(LookupInstanceTest, TakesBackAtTheDeadlineWhatHasNotBegun) {
  create("lookup-blocking", {100, 1, 100});
  start(1, "block", kSecond / 5);  // holds the one thread until it is told to stop
  EXPECT_EQ(ask("value", 5 * kMillisecond).text, "cancelled before it began");
  EXPECT_EQ(answer(1).text, "time limit exceeded");
  EXPECT_THAT(ask("value").values, ElementsAre("value in odd"));
  EXPECT_EQ(instance_->misbehaviours(), 0u);
}

TEST_F(LookupInstanceTest, MayGoAwayWithLookupsUnderWay) {
  create("lookup-blocking");
  start(1, "never");
  start(2, "block");
  instance_.reset();
  loop_.poll();
  EXPECT_TRUE(answers_.empty());
}

}  // namespace
}  // namespace mansio::host
