// event-file on the fake host: its lines, and where they go when the file is full, renamed or cannot be written.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

using mansio::testing::FakeEvent;
using mansio::testing::FakeHost;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class EventFile : public ::testing::Test {
 protected:
  EventFile() {
    auto pattern = (std::filesystem::temp_directory_path() / "mansio-events.XXXXXX").string();
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/accounting";
  }
  ~EventFile() override { std::filesystem::remove_all(directory_); }

  FakeHost::Options options(FakeHost::Options more = {}) const {
    more.emplace("path", path_);
    return more;
  }
  static std::vector<std::string> lines(const std::string &path) {
    std::ifstream in{path};
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto &entry : std::filesystem::directory_iterator{directory_}) out.push_back(entry.path().string());
    return out;
  }

  std::string directory_, path_;
};

TEST_F(EventFile, WritesALineForEachEventThatWasAskedFor) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  EXPECT_TRUE(host.tell({.event = MANSIO_EVENT_INSERTED, .fields = {{"from", "a@example.org"}, {"size", "1834"}}}));
  EXPECT_TRUE(host.tell({.event = MANSIO_EVENT_DELIVERED,
                         .recipient = "b@example.net",
                         .fields = {{"delay", "0.12"}, {"possible_duplicate", "true"}}}));
  EXPECT_FALSE(host.tell({.event = MANSIO_EVENT_ROUTED}));
  EXPECT_THAT(lines(path_),
              ElementsAre(R"({"time":"2023-11-14T22:13:20.000Z","event":"inserted","qid":"0123456789ABC",)"
                          R"("from":"a@example.org","size":1834})",
                          R"({"time":"2023-11-14T22:13:20.000Z","event":"delivered","qid":"0123456789ABC",)"
                          R"("to":"b@example.net","delay":"0.12","possible_duplicate":true})"));
  EXPECT_EQ(host.metric("lines"), 2);
}

TEST_F(EventFile, WhatPeersSaidStaysOneLineOfJson) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  host.tell(
      {.fields = {{"text", "250 \"ok\"\r\n{\\}\x7f\xff\xc3\xa4\xed\xa0\x80"}, {"size", "0x1"}, {"nrcpt", "007"}}});
  const auto written = lines(path_);
  ASSERT_EQ(written.size(), 1u);
  EXPECT_THAT(written[0], HasSubstr(R"("text":"250 \"ok\"\u000d\u000a{\\}\u007f\ufffd)"
                                    "\xc3\xa4"
                                    R"(\ufffd\ufffd\ufffd","size":"0x1","nrcpt":"007"})"));
}

TEST_F(EventFile, AddsToAFileThatIsThere) {
  std::ofstream{path_} << "before\n";
  FakeHost host{mansio_plugin_entry_1(), options()};
  host.tell({});
  EXPECT_EQ(lines(path_).size(), 2u);
}

TEST_F(EventFile, HalfALineThatIsThereStaysALineOfItsOwn) {
  std::ofstream{path_} << "whole\nhal";
  FakeHost host{mansio_plugin_entry_1(), options()};
  host.tell({.recipient = "one@example.com"});
  host.tell({.recipient = "two@example.com"});
  EXPECT_THAT(lines(path_), ElementsAre("whole", "hal", StartsWith(R"({"time":)"), HasSubstr("two@example.com")));
}

TEST_F(EventFile, ANewFileHasTheModeThatIsConfigured) {
  const auto mask = ::umask(077);
  FakeHost host{mansio_plugin_entry_1(), options({{"mode", "0644"}})};
  ::umask(mask);
  struct stat s {};
  ASSERT_EQ(::stat(path_.c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 07777u, 0644u);
}

TEST_F(EventFile, GoesOnInANewFileWhenTheOldOneWasRenamed) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  host.tell({.recipient = "one@example.com"});
  std::filesystem::rename(path_, path_ + ".1");
  ASSERT_TRUE(host.run_until([&] { return std::filesystem::exists(path_); }));
  host.tell({.recipient = "two@example.com"});
  EXPECT_THAT(lines(path_ + ".1"), ElementsAre(HasSubstr("one@example.com")));
  EXPECT_THAT(lines(path_), ElementsAre(HasSubstr("two@example.com")));
}

TEST_F(EventFile, AFullFileGetsTheTimeAfterItsName) {
  FakeHost host{mansio_plugin_entry_1(), options({{"max_size", "4k"}})};
  const std::string long_text(1500, 'x');
  for (int i = 0; i < 7; ++i) host.tell({.fields = {{"text", long_text}}});
  EXPECT_EQ(lines(path_).size(), 1u);
  EXPECT_EQ(lines(path_ + ".20231114T221320Z").size(), 2u);
  EXPECT_EQ(lines(path_ + ".20231114T221320Z-1").size(), 2u);
  EXPECT_EQ(lines(path_ + ".20231114T221320Z-2").size(), 2u);
  EXPECT_EQ(files().size(), 4u);
}

TEST_F(EventFile, TwoProcessesMayShareAFileAndOneOfThemRotatesIt) {
  FakeHost one{mansio_plugin_entry_1(), options({{"max_size", "4k"}})};
  FakeHost other{mansio_plugin_entry_1(), options({{"max_size", "4k"}})};
  const std::string long_text(1500, 'x');
  for (int i = 0; i < 2; ++i) one.tell({.fields = {{"text", long_text}}});
  one.tell({.fields = {{"text", long_text}}});  // rotates
  for (int i = 0; i < 2; ++i) other.tell({.fields = {{"text", long_text}}});
  other.tell({.fields = {{"text", long_text}}});  // by what it knows the file is full: it follows
  std::size_t all = 0;
  for (const auto &file : files()) all += lines(file).size();
  EXPECT_EQ(all, 6u);
}

TEST_F(EventFile, SaysOnceThatItCannotWriteAndCountsWhatIsLost) {
  FakeHost host{mansio_plugin_entry_1(), options()};
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 20;  // the first write ends in the middle of the line
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  host.tell({.recipient = "one@example.com"});
  host.tell({.recipient = "two@example.com"});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_DFL);
  host.tell({.recipient = "three@example.com"});
  EXPECT_EQ(host.metric("lines_lost"), 2);
  EXPECT_EQ(host.metric("lines"), 1);
  const auto said = host.log.find("cannot be written");
  ASSERT_NE(said, std::string::npos) << host.log;
  EXPECT_EQ(host.log.find("cannot be written", said + 1), std::string::npos) << host.log;
  EXPECT_THAT(host.log, HasSubstr("can be written again"));
  const auto written = lines(path_);
  ASSERT_EQ(written.size(), 2u);  // the torn one, and a whole one
  EXPECT_THAT(written[1], HasSubstr("three@example.com"));
}

TEST_F(EventFile, RefusesOptionsThatItCannotUse) {
  const auto said =
      FakeHost::check(mansio_plugin_entry_1(),
                      {{"path", "accounting"}, {"events", "delivered,nothing"}, {"max_size", "100"}, {"mode", "0440"}});
  for (const auto *option : {"path", "events", "max_size", "mode"}) EXPECT_THAT(said, HasSubstr(option));
  EXPECT_THAT(FakeHost::check(mansio_plugin_entry_1(), options()), IsEmpty());
  EXPECT_THROW(FakeHost(mansio_plugin_entry_1(), {{"path", directory_ + "/no/such"}}), std::runtime_error);
}

TEST_F(EventFile, ReadmeIsTrue) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
