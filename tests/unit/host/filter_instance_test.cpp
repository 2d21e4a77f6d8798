// The host against filters that behave badly: tests/fixtures/filter-odd.c does as the stage's first argument says.
#include "kernel/host/filter.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>

#include "mansio/draft/filter.h"
#include "tests/unit/host/filter_content.hpp"
#include "tests/unit/host/host_rig.hpp"

namespace mansio::host {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using wire::StageOutcome;

class FilterInstanceTest : public HostTest {
 protected:
  void create(const char *kind = kFilterKind, std::map<std::string, std::string> options = {{"stages", "4095"}},
              Limits limits = {}) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/filter-odd.so");
    ASSERT_TRUE(plugin.ok()) << plugin.error().text;
    auto made =
        FilterInstance::create({loop_, *time_, log_, dns_}, **plugin, {"odd", std::move(options), {}, limits}, kind);
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  // Of configuration 7, in the process of slot 1.
  Result<std::unique_ptr<FilterInstance>> made_in(process::SharedMemory &shared) {
    const auto plugin = load_plugin(MANSIO_FIXTURES "/filter-odd.so");
    if (!plugin) return plugin.error();
    Surroundings around{loop_, *time_, log_, dns_};
    around.shared = &shared;
    around.slot = 1;
    around.config_epoch = 7;
    return FilterInstance::create(
        around, **plugin, {"odd", {{"stages", "4095"}}, {}, {100, 0, 100, 5, 60 * kSecond, 60 * kSecond}}, kFilterKind);
  }
  void create_in(process::SharedMemory &shared) {
    auto made = made_in(shared);
    ASSERT_TRUE(made.ok()) << made.error().text;
    instance_ = std::move(*made);
  }
  std::uint64_t start(int number, std::uint32_t stage, const std::string &argument,
                      std::shared_ptr<const FilterContent> content = nullptr, Nanos within = 60 * kSecond) {
    wire::StageCall call;
    call.stage = stage;
    call.session = "s.1";
    call.id = message_;
    call.arguments = {argument};
    call.session_meta = {{"greeted", "yes"}};
    call.length = content ? content->file.size() : 0;
    call.time_limit = within;
    call.total_limit = 20 * within;
    call.last = stage == MANSIO_STAGE_END_OF_MESSAGE;
    return instance_->start(std::move(call), std::move(content), [this, number](wire::StageResult &&result) {
      EXPECT_TRUE(results_.emplace(number, std::move(result)).second) << "answered twice";
    });
  }
  const wire::StageResult &result(int number) {
    EXPECT_TRUE(until([&] { return results_.contains(number); }));
    return results_[number];
  }
  wire::StageResult rcpt(const std::string &what, Nanos within = 60 * kSecond) {
    start(++last_, MANSIO_STAGE_RCPT, what + "@example.com", nullptr, within);
    return result(last_);
  }
  wire::StageResult end_of_message(const std::string &what) {
    start(++last_, MANSIO_STAGE_END_OF_MESSAGE, "", content_of("X-Do: " + what + "\r\n\r\nbody\r\n"));
    return result(last_);
  }

  // The descriptor that it was in goes back to `stock`, if it may.
  wire::StageResult end_of_message(const std::string &what, io::MemfdStock &stock) {
    auto content = std::make_shared<FilterContent>();
    content->file = std::move(*stock.take());
    EXPECT_TRUE(content->file.write("X-Do: " + what + "\r\n\r\nbody\r\n").ok());
    start(++last_, MANSIO_STAGE_END_OF_MESSAGE, "", std::move(content));
    return result(last_);
  }
  wire::StageResult mail(const std::string &what) {
    start(++last_, MANSIO_STAGE_MAIL, what + "@example.com");
    return result(last_);
  }
  StageOutcome header() {
    start(++last_, MANSIO_STAGE_HEADER, "Subject");
    return result(last_).outcome;
  }
  // One that opens after two failures, for a minute, under a clock that stands still.
  void create_with_breaker() {
    time_ = &virtual_;
    create(kPolicyKind, {{"stages", "4095"}}, {100, 0, 100, 2, 60 * kSecond, 60 * kSecond});
  }
  double stat(const std::string &prefix) {
    double found = -1;
    instance_->stats([&](const std::string &name, double value) {
      if (name.starts_with(prefix + "{")) found = value;
    });
    return found;
  }
  std::size_t said(std::string_view what) const {
    std::size_t n = 0;
    for (auto at = lines_.text.find(what); at != std::string::npos; at = lines_.text.find(what, at + 1)) ++n;
    return n;
  }

  VirtualClock virtual_;
  const Clock *time_ = &clock_;
  MessageId message_ = MessageId::make(1, 1, 1);
  std::map<int, wire::StageResult> results_;
  int last_ = 1000;
  std::unique_ptr<FilterInstance> instance_;
};

TEST_F(FilterInstanceTest, WhatItIsGivenADescriptorOfNeverChanges) {
  create();
  const auto stock = std::make_shared<io::MemfdStock>();
  ASSERT_EQ(end_of_message("fine", *stock).outcome, StageOutcome::Ok);
  const auto read = stock->take();
  EXPECT_TRUE(read->sealed().ok());
  EXPECT_EQ(end_of_message("slices", *stock).text, "cannot be changed");
  struct stat st {};
  ASSERT_EQ(::fstat(stock->take()->get(), &st), 0);
  EXPECT_EQ(st.st_size, 0) << "a new one: the plugin may still send pages of that message";
}

TEST_F(FilterInstanceTest, AMessageReadInTheFileOfAnotherIsThatMessageAlone) {
  create();
  const auto stock = std::make_shared<io::MemfdStock>();
  EXPECT_EQ(end_of_message("reject571", *stock).text, "blocked");
  EXPECT_EQ(end_of_message("skip", *stock).outcome, StageOutcome::Skip);
  struct stat st {};
  ASSERT_EQ(::fstat(stock->take()->get(), &st), 0);
  EXPECT_GT(st.st_size, 0) << "one file for both";
}

TEST_F(FilterInstanceTest, BringsTheVerdictOfAPlugin) {
  create();
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  EXPECT_EQ(rcpt("skip").outcome, StageOutcome::Skip);
  EXPECT_EQ(rcpt("defer").outcome, StageOutcome::Defer);
  EXPECT_EQ(rcpt("defer").text, "not now");
  const auto rejected = rcpt("reject571");
  EXPECT_EQ(rejected.outcome, StageOutcome::Fail);
  EXPECT_EQ(rejected.smtp_code, 571);
  EXPECT_EQ(rejected.enhanced, (EnhancedStatus{5, 7, 9}));
}

TEST_F(FilterInstanceTest, TakesWhatAPluginWasToldAsFarAsThereIsRoom) {
  create();
  EXPECT_THAT(rcpt("told").told, ElementsAre("asked\tand answered", "asked\tand answered"));
  const auto much = rcpt("toldmuch");
  EXPECT_EQ(much.outcome, StageOutcome::Ok);
  EXPECT_THAT(much.told, IsEmpty());
}

TEST_F(FilterInstanceTest, AsksOnlyForTheStagesThatAreWanted) {
  create(kFilterKind, {{"stages", "32"}});
  EXPECT_EQ(instance_->stages(), 32u);
  EXPECT_EQ(rcpt("reject").outcome, StageOutcome::Fail);
  start(1, MANSIO_STAGE_MAIL, "reject@example.com");
  EXPECT_EQ(result(1).outcome, StageOutcome::Skip);
}

TEST_F(FilterInstanceTest, TakesOddAnswersForFailures) {
  create();
  EXPECT_EQ(rcpt("strange").outcome, StageOutcome::Failed);
  EXPECT_EQ(rcpt("short").outcome, StageOutcome::Failed);
  const auto never = rcpt("never", 5 * kMillisecond);
  EXPECT_EQ(never.outcome, StageOutcome::Failed);
  EXPECT_EQ(never.text, "time limit exceeded");
  EXPECT_EQ(instance_->in_flight(), 0u);
}

TEST_F(FilterInstanceTest, TakesTheFirstOfTwoAnswersAndIgnoresLateOnes) {
  create();
  EXPECT_EQ(rcpt("twice").outcome, StageOutcome::Ok);
  EXPECT_EQ(instance_->misbehaviours(), 1u);
  EXPECT_EQ(rcpt("keep", 5 * kMillisecond).outcome, StageOutcome::Failed);
  EXPECT_EQ(rcpt("late").outcome, StageOutcome::Ok);
  EXPECT_EQ(instance_->misbehaviours(), 1u);
}

TEST_F(FilterInstanceTest, TakesAnAnswerFromAThread) {
  create();
  EXPECT_EQ(rcpt("thread").outcome, StageOutcome::Ok);
}

TEST_F(FilterInstanceTest, RefusesMoreThanItMayHaveUnderWay) {
  create(kFilterKind, {{"stages", "4095"}}, {1, 0, 100});
  start(1, MANSIO_STAGE_RCPT, "never@example.com");
  EXPECT_EQ(rcpt("fine").text, "it has too much to do");
}

TEST_F(FilterInstanceTest, GathersTheEditsOfAMessage) {
  create();
  const auto edited = end_of_message("edit");
  EXPECT_EQ(edited.outcome, StageOutcome::Ok);
  EXPECT_THAT(edited.edits, ElementsAre(Edit{EditKind::AddHeader, 0, "X-Odd", "yes\r\n folded"},
                                        Edit{EditKind::InsertHeader, 0, "X-First", "1"},
                                        Edit{EditKind::ChangeHeader, 1, "Subject", "changed"},
                                        Edit{EditKind::DeleteHeader, 1, "X-Remove", ""},
                                        Edit{EditKind::SetSender, 0, "", "edited@sender.example"},
                                        Edit{EditKind::AddRecipient, 0, "", "added@two.example"},
                                        Edit{EditKind::DeleteRecipient, 0, "", "removed@two.example"},
                                        Edit{EditKind::ReplaceBody, 0, "", "new\nbody here\r\n"},
                                        Edit{EditKind::AddHeader, 0, "X-Greeted", "yes"}));
  EXPECT_THAT(edited.message_meta, Contains(Pair("tenant", "blue")));
}

TEST_F(FilterInstanceTest, GathersTheEditsOfVersions) {
  create();
  start(1, MANSIO_STAGE_END_OF_MESSAGE, "BOB@two.example", content_of("X-Do: versionhold\r\n\r\nbody\r\n"));
  EXPECT_EQ(result(1).outcome, StageOutcome::Ok) << result(1).text;
  EXPECT_THAT(result(1).edits, ElementsAre(Edit{EditKind::AddHeader, 0, "X-For", "all"},
                                           Edit{EditKind::Version, 1, "", "bob@two.example"},
                                           Edit{EditKind::ChangeHeader, 1, "X-Do", "hold", 1},
                                           Edit{EditKind::ChangeHeader, 1, "X-For", "bob", 1},
                                           Edit{EditKind::ReplaceBody, 0, "", "for bob\n", 1},
                                           Edit{EditKind::ChangeHeader, 1, "X-Do", "nothing"},
                                           Edit{EditKind::ReplaceBody, 0, "", "for the rest\n"}));
}

TEST_F(FilterInstanceTest, GivesNoVersionToWhoIsNoRecipient) {
  create();
  start(1, MANSIO_STAGE_END_OF_MESSAGE, "alice@two.example", content_of("X-Do: versionhold\r\n\r\nbody\r\n"));
  EXPECT_EQ(result(1).outcome, StageOutcome::Failed);
  EXPECT_EQ(result(1).text, "no version");
  create(kPolicyKind);
  start(2, MANSIO_STAGE_END_OF_MESSAGE, "bob@two.example", content_of("X-Do: versionhold\r\n\r\nbody\r\n"));
  EXPECT_EQ(result(2).outcome, StageOutcome::Failed) << "of a policy";
}

TEST_F(FilterInstanceTest, DropsTheEditsOfOneThatSkips) {
  create();
  EXPECT_THAT(end_of_message("skip").edits, IsEmpty());
  EXPECT_EQ(end_of_message("skip").outcome, StageOutcome::Skip);
}

TEST_F(FilterInstanceTest, LetsAPolicyHoldAndRedirectButNotEdit) {
  create(kPolicyKind);
  EXPECT_THAT(end_of_message("edit").edits, IsEmpty());
  EXPECT_THAT(end_of_message("hold").edits, ElementsAre(Edit{EditKind::Hold, 0, "", "looks bad"}));
  EXPECT_THAT(rcpt("discard").edits, ElementsAre(Edit{EditKind::Discard, 0, "", "of no use"}));
  EXPECT_THAT(rcpt("redirect").edits, ElementsAre(Edit{EditKind::Redirect, 0, "", "review@two.example"}))
      << "and not to what is no address";
  start(1, MANSIO_STAGE_HELO, "hold.example.com");
  EXPECT_THAT(result(1).edits, IsEmpty()) << "there is no message yet";
}

TEST_F(FilterInstanceTest, GivesOneThatReportsProgressItsTimeAnew) {
  create();
  EXPECT_EQ(rcpt("progress", 2 * kSecond).outcome, StageOutcome::Ok);
}

TEST_F(FilterInstanceTest, TellsThePluginThatAMessageComesToNothing) {
  create();
  instance_->abort("s.1", MessageId::make(1, 1, 7));
  EXPECT_THAT(lines_.text, HasSubstr("abort " + to_string(MessageId::make(1, 1, 7))));
}

// What a filter answers at other stages is no recovery: it may be one function of it that fails.
TEST_F(FilterInstanceTest, ABreakerOpensForAStageThatKeepsFailing) {
  create_with_breaker();
  rcpt("strange");
  EXPECT_EQ(rcpt("defer").outcome, StageOutcome::Defer) << "which is an answer";
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(mail("fine").outcome, StageOutcome::Ok);
    EXPECT_EQ(rcpt("strange").text, "strange");
  }
  EXPECT_THAT(lines_.text, HasSubstr("breaker open: the plugin keeps failing and is not asked for a while; on_failure "
                                     "answers; mend it, and have it asked at once with mansio reload"));
  EXPECT_THAT(lines_.text, HasSubstr(R"("policy":"odd","plugin":"filter-odd","stage":"RCPT","reason":"strange")"));
  const auto asked = said("stage 5");
  for (int i = 0; i < 10; ++i) {
    const auto refused = rcpt("fine");
    EXPECT_EQ(refused.outcome, StageOutcome::Failed);
    EXPECT_THAT(refused.text, HasSubstr("is not asked for a while"));
  }
  EXPECT_EQ(said("stage 5"), asked) << "it costs nothing any more";
  EXPECT_EQ(said("breaker open"), 1u);
  EXPECT_EQ(mail("fine").outcome, StageOutcome::Ok);
  EXPECT_EQ(stat("mansio_plugin_refused_total"), 10);
  EXPECT_EQ(stat("mansio_plugin_breakers_open"), 1);
  EXPECT_EQ(stat("mansio_plugin_breaker_opened_total"), 1);
}

// The supervisor's breaker, which it opens in the shared memory.
TEST_F(FilterInstanceTest, RestsWhenTheSupervisorSaysSoAndIsThenTriedByOneStage) {
  time_ = &virtual_;
  const auto shared = std::move(*process::SharedMemory::create());
  const auto tag = shared->instance_tag(7, "filter odd");
  create_in(*shared);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  shared->rests().rest(tag, 60 * kSecond);
  EXPECT_EQ(rcpt("fine").text, "its code ended processes of Mansio, and it is not asked for a while");
  EXPECT_EQ(mail("fine").outcome, StageOutcome::Failed) << "at no stage";
  EXPECT_EQ(stat("mansio_plugin_breakers_open"), 1);
  virtual_.advance(60 * kSecond);
  start(1, MANSIO_STAGE_RCPT, "keep@example.com");
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Failed) << "one tries it, and has not come back";
  virtual_.advance(60 * kSecond);
  EXPECT_EQ(rcpt("strange").outcome, StageOutcome::Failed);
  EXPECT_EQ(shared->rests().state(tag)->kind, process::RestTable::State::Kind::Trying) << "a failure is no recovery";
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  EXPECT_EQ(said("breaker closed: the plugin answers again"), 1u);
  EXPECT_EQ(stat("mansio_plugin_breakers_open"), 0);
}

TEST_F(FilterInstanceTest, IsNotStartedWhileItRests) {
  time_ = &virtual_;
  const auto shared = std::move(*process::SharedMemory::create());
  shared->rests().rest(shared->instance_tag(7, "filter odd"), 60 * kSecond);
  const auto refused = made_in(*shared);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().status, Status::Defer);
  EXPECT_THAT(refused.error().text, HasSubstr("filter odd: its code ended processes"));
  virtual_.advance(60 * kSecond);
  create_in(*shared);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok) << "the start was the beginning of the try";
  EXPECT_EQ(said("breaker closed"), 1u);
}

TEST_F(FilterInstanceTest, AfterThePauseOneStageTriesAFilterWhoseBreakerIsOpen) {
  create_with_breaker();
  rcpt("strange");
  rcpt("strange");
  virtual_.advance(60 * kSecond - 1);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Failed);
  virtual_.advance(1);
  EXPECT_EQ(rcpt("strange").text, "strange") << "it was asked";
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Failed);
  EXPECT_EQ(said("breaker open"), 2u);
  virtual_.advance(60 * kSecond);
  start(1, MANSIO_STAGE_RCPT, "keep@example.com");
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Failed) << "one tries it, and has not come back";
  mail("late");
  EXPECT_EQ(result(1).outcome, StageOutcome::Ok);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  EXPECT_EQ(said("breaker closed: the plugin answers again"), 1u);
  EXPECT_EQ(stat("mansio_plugin_breakers_open"), 0);
  EXPECT_EQ(stat("mansio_plugin_breaker_opened_total"), 2);
}

TEST_F(FilterInstanceTest, NoAnswerInTimeOpensABreakerAndTooMuchToDoDoesNot) {
  create_with_breaker();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rcpt("busy").outcome, StageOutcome::Failed);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(rcpt("never", 5 * kMillisecond).text, "time limit exceeded");
  EXPECT_THAT(rcpt("fine").text, HasSubstr("is not asked for a while"));
}

// Or a client could have all others' mail treated as that of a filter that fails.
TEST_F(FilterInstanceTest, ACallThatNobodyWaitsForIsNoFailure) {
  create_with_breaker();
  for (int i = 1; i <= 3; ++i) {
    instance_->cancel(start(i, MANSIO_STAGE_RCPT, "never@example.com", nullptr, 5 * kMillisecond));
    EXPECT_EQ(result(i).outcome, StageOutcome::Failed);
  }
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  rcpt("strange");
  rcpt("strange");
  virtual_.advance(60 * kSecond);
  instance_->cancel(start(4, MANSIO_STAGE_RCPT, "never@example.com", nullptr, 5 * kMillisecond));
  EXPECT_EQ(result(4).text, "time limit exceeded");
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok) << "the next one tries it";
}

// Fields that go well before the one that makes it fail are no recovery; and a try is a message, not one of its fields.
TEST_F(FilterInstanceTest, TheContentOfAMessageIsOneToTheBreaker) {
  create_with_breaker();
  for (std::uint32_t i = 1; i <= 2; ++i) {
    message_ = MessageId::make(1, 1, i);
    EXPECT_EQ(header(), StageOutcome::Ok);
    EXPECT_EQ(header(), StageOutcome::Ok);
    EXPECT_EQ(end_of_message("strange").text, "strange");
  }
  EXPECT_THAT(lines_.text, HasSubstr(R"("stage":"end of message","reason":"strange")"));
  EXPECT_EQ(header(), StageOutcome::Failed);
  EXPECT_EQ(rcpt("fine").outcome, StageOutcome::Ok);
  virtual_.advance(60 * kSecond);
  const auto tries = MessageId::make(1, 1, 3), other = MessageId::make(1, 1, 4);
  message_ = tries;
  EXPECT_EQ(header(), StageOutcome::Ok);
  message_ = other;
  EXPECT_EQ(header(), StageOutcome::Failed);
  message_ = tries;
  EXPECT_EQ(header(), StageOutcome::Ok);
  EXPECT_EQ(said("breaker closed"), 0u);
  EXPECT_EQ(end_of_message("fine").outcome, StageOutcome::Ok);
  EXPECT_EQ(said("breaker closed"), 1u);
  message_ = other;
  EXPECT_EQ(header(), StageOutcome::Ok);
}

TEST_F(FilterInstanceTest, ARefusalInTheMiddleOfTheContentIsAnAnswer) {
  time_ = &virtual_;
  create(kPolicyKind, {{"stages", "4095"}, {"content", "reject"}}, {100, 0, 100, 2, 60 * kSecond, 60 * kSecond});
  end_of_message("strange");
  EXPECT_EQ(header(), StageOutcome::Fail);
  end_of_message("strange");
  EXPECT_EQ(end_of_message("fine").outcome, StageOutcome::Ok);
}

TEST_F(FilterInstanceTest, MayGoAwayWithStagesUnderWay) {
  create();
  start(1, MANSIO_STAGE_RCPT, "never@example.com");
  start(2, MANSIO_STAGE_RCPT, "slow@example.com");
  instance_.reset();
  loop_.poll();
  EXPECT_TRUE(results_.empty());
}

// Stages of the queue are a policy's, and each has edits of its own.
TEST_F(FilterInstanceTest, APolicySaysWhereQueuedMailGoes) {
  create(kPolicyKind, {{"stages", std::to_string(0xf << MANSIO_STAGE_ROUTE)}});
  EXPECT_EQ(instance_->stages(), 0xfu << MANSIO_STAGE_ROUTE);
  const auto say = [&](std::uint32_t stage, const std::string &what) {
    start(++last_, stage, what + "@example.com");
    return result(last_);
  };
  for (const auto stage : {MANSIO_STAGE_ROUTE, MANSIO_STAGE_PRE_DELIVERY}) {
    EXPECT_THAT(say(stage, "route").edits, ElementsAre(Edit{EditKind::Route, 0, "bulk", "[192.0.2.7]:26"}));
    EXPECT_THAT(say(stage, "pool").edits, ElementsAre(Edit{EditKind::SourcePool, 0, "", "warm"}));
    EXPECT_THAT(say(stage, "hold").edits, ElementsAre(Edit{EditKind::Hold, 0, "", "looks bad"}));
    EXPECT_THAT(say(stage, "discard").edits, ElementsAre(Edit{EditKind::Discard, 0, "", "of no use"}));
    EXPECT_THAT(say(stage, "redirect").edits, IsEmpty());
  }
  EXPECT_THAT(say(MANSIO_STAGE_RETRY, "hold").edits, ElementsAre(Edit{EditKind::Hold, 0, "", "looks bad"}));
  EXPECT_EQ(say(MANSIO_STAGE_RETRY, "defer").retry, 90 * kSecond);
  EXPECT_THAT(say(MANSIO_STAGE_RETRY, "discard").edits, IsEmpty());
  EXPECT_THAT(say(MANSIO_STAGE_RETRY, "route").edits, IsEmpty());
  EXPECT_THAT(say(MANSIO_STAGE_BOUNCE, "redirect").edits,
              ElementsAre(Edit{EditKind::Redirect, 0, "", "review@two.example"}));
  EXPECT_THAT(say(MANSIO_STAGE_BOUNCE, "discard").edits, ElementsAre(Edit{EditKind::Discard, 0, "", "of no use"}));
  EXPECT_THAT(say(MANSIO_STAGE_BOUNCE, "hold").edits, IsEmpty());
}

TEST_F(FilterInstanceTest, EachStageOfTheQueueHasABreaker) {
  create(kPolicyKind, {{"stages", std::to_string(0xf << MANSIO_STAGE_ROUTE)}},
         {100, 0, 100, 2, 60 * kSecond, 60 * kSecond});
  const auto say = [&](std::uint32_t stage, const std::string &what) {
    start(++last_, stage, what + "@example.com");
    return result(last_);
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(say(MANSIO_STAGE_ROUTE, "strange").text, "strange");
  EXPECT_THAT(say(MANSIO_STAGE_ROUTE, "fine").text, HasSubstr("is not asked for a while"));
  EXPECT_THAT(lines_.text, HasSubstr(R"("stage":"route")"));
  for (const auto stage : {MANSIO_STAGE_PRE_DELIVERY, MANSIO_STAGE_RETRY, MANSIO_STAGE_BOUNCE})
    EXPECT_EQ(say(stage, "fine").outcome, StageOutcome::Ok);
}

TEST_F(FilterInstanceTest, AFilterHasNoSayInTheQueue) {
  create(kFilterKind, {{"stages", std::to_string(32 | 0xf << MANSIO_STAGE_ROUTE)}});
  EXPECT_EQ(instance_->stages(), 32u);
}

}  // namespace
}  // namespace mansio::host
