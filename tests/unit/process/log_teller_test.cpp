// Lines of the log on their way to the queue: in batches, bounded, and counted where they are dropped.
#include "kernel/process/log_teller.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "kernel/base/codec.hpp"
#include "kernel/io/channel.hpp"

namespace mansio::process {
namespace {

class LogTellerTest : public ::testing::Test {
 protected:
  // What the loop has to do, its timers included.
  void run() {
    loop_.restart();
    loop_.run();
  }
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const auto &batch : sent_) all.insert(all.end(), batch.lines.begin(), batch.lines.end());
    return all;
  }
  std::uint64_t dropped() const {
    std::uint64_t n = 0;
    for (const auto &batch : sent_) n += batch.dropped;
    return n;
  }

  asio::io_context loop_{1};
  bool takes_ = true;
  std::vector<wire::LogLines> sent_;
  LogTeller teller_{loop_, [this](const wire::LogLines &batch) {
                      if (takes_) sent_.push_back(batch);
                      return takes_;
                    }};
};

TEST_F(LogTellerTest, LinesGoTogetherInTheirOrder) {
  teller_.wanted(true);
  teller_.take("one\n");
  teller_.take("two");
  run();
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].lines, (std::vector<std::string>{"one", "two"}));
  teller_.take("three");
  run();
  EXPECT_EQ(lines().back(), "three");
}

TEST_F(LogTellerTest, NothingIsKeptWhileNobodyWantsIt) {
  teller_.take("before");
  run();
  teller_.wanted(true);
  teller_.take("taken back");
  teller_.wanted(false);
  teller_.take("after");
  run();
  EXPECT_TRUE(lines().empty());
  EXPECT_EQ(dropped(), 0u);
}

TEST_F(LogTellerTest, AFloodIsDroppedAndCounted) {
  teller_.wanted(true);
  const std::string line(1000, 'x');
  for (int i = 0; i < 1000; ++i) teller_.take(line);
  run();
  const auto told = lines().size();
  EXPECT_EQ(told, LogTeller::kMostBytes / line.size());
  EXPECT_EQ(dropped(), 1000 - told);
  EXPECT_GT(sent_.size(), 1u);
  for (const auto &batch : sent_) EXPECT_LE(encode(batch).size(), io::kMaxMessage);
}

TEST_F(LogTellerTest, ALineThatIsTooLongIsDropped) {
  teller_.wanted(true);
  teller_.take(std::string(LogTeller::kLongest + 1, 'x'));
  run();
  EXPECT_TRUE(lines().empty());
  EXPECT_EQ(dropped(), 1u);
}

TEST_F(LogTellerTest, WhatNobodyTakesIsCountedWithTheNext) {
  teller_.wanted(true);
  takes_ = false;
  teller_.take("one");
  teller_.take("two");
  run();
  takes_ = true;
  teller_.take("three");
  run();
  EXPECT_EQ(lines(), std::vector<std::string>{"three"});
  EXPECT_EQ(dropped(), 2u);
}

TEST_F(LogTellerTest, AnyThreadMayWriteLines) {
  teller_.wanted(true);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this] {
      for (int i = 0; i < 100; ++i) teller_.take("line");
    });
  for (auto &thread : threads) thread.join();
  run();
  EXPECT_EQ(lines().size(), 400u);
}

TEST_F(LogTellerTest, AtTheEndWhatIsThereGoesAtOnce) {
  teller_.wanted(true);
  teller_.take("last words");
  teller_.finish();
  EXPECT_EQ(lines(), std::vector<std::string>{"last words"});
  teller_.take("later still");
  run();
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(LogTellerTest, TheLogItselfIsWrittenAsEver) {
  struct Note final : LogSink {
    void emit(LogLevel, std::string_view line) override { text += line; }
    std::string text;
  } note;
  ToldLog log{note, teller_};
  log.emit(LogLevel::Info, "one\n");
  teller_.wanted(true);
  log.emit(LogLevel::Info, "two\n");
  run();
  EXPECT_EQ(note.text, "one\ntwo\n");
  EXPECT_EQ(lines(), std::vector<std::string>{"two"});
}

TEST(LogTeller, MayGoBeforeTheLoopHasSeenItsLines) {
  asio::io_context loop{1};
  {
    LogTeller teller{loop, [](const wire::LogLines &) { return true; }};
    teller.wanted(true);
    teller.take("line");
  }
  loop.run();
}

}  // namespace
}  // namespace mansio::process
