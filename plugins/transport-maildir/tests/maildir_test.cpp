// Deliveries into Maildirs on disk through the plugin's entry: the file, its line ends, quotas, permissions, and what
// is left when it fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "mansio/testing/fake_host.hpp"
#include "plugins/testing/readme.hpp"

namespace {

namespace fs = std::filesystem;
using mansio::testing::FakeHost;
using mansio::testing::FakeMail;
using ::testing::HasSubstr;

class TransportMaildirTest : public ::testing::Test {
 protected:
  TransportMaildirTest() {
    std::string pattern = ::testing::TempDir() + "maildir.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~TransportMaildirTest() override { fs::remove_all(root_); }

  FakeHost &host(FakeHost::Options options = {}) {
    if (!host_) {
      options.try_emplace("directory", root_ + "/{domain}/{local}");
      host_.emplace(mansio_plugin_entry_1(), options);
    }
    return *host_;
  }
  mansio::testing::FakeReply send(const std::string &recipient,
                                  const std::string &content = "Subject: x\r\n\r\nhello\r\n") {
    return host()
        .run({.sender = "a@example.org", .recipients = {{recipient, "", "", 0}}, .content = content})
        .recipients.at(0);
  }
  std::vector<fs::path> files(const std::string &folder) const {
    std::vector<fs::path> all;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator{root_ + "/" + folder, error}) all.push_back(entry.path());
    return all;
  }
  static std::string text(const fs::path &path) {
    std::ostringstream out;
    out << std::ifstream{path}.rdbuf();
    return out.str();
  }

  std::string root_;
  std::optional<FakeHost> host_;
};

TEST_F(TransportMaildirTest, WritesTheMessageIntoNewWithLfLineEnds) {
  const auto reply = send("bob@example.com");
  EXPECT_EQ(reply.status, MANSIO_OK);
  EXPECT_EQ(reply.enhanced, "2.0.0");
  EXPECT_EQ(reply.relay, "local");
  const auto found = files("example.com/bob/new");
  ASSERT_EQ(found.size(), 1u);
  const auto content = text(found[0]);
  EXPECT_EQ(content,
            "Return-Path: <a@example.org>\nDelivered-To: bob@example.com\nX-Original-To: bob@example.com\n"
            "Subject: x\n\nhello\n");
  EXPECT_THAT(found[0].filename().string(),
              ::testing::EndsWith(".mail.example.test,S=" + std::to_string(content.size())));
  EXPECT_TRUE(files("example.com/bob/tmp").empty());
  EXPECT_TRUE(fs::is_directory(root_ + "/example.com/bob/cur"));
  struct stat s {};
  ASSERT_EQ(::stat((root_ + "/example.com/bob").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777u, 0700u);
  ASSERT_EQ(::stat(found[0].c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777u, 0600u);
  EXPECT_TRUE(host().faults.empty());
}

TEST_F(TransportMaildirTest, KeepsALargeMessageWhole) {
  std::string body;
  for (int i = 0; i < 40'000; ++i) body += "line " + std::to_string(i) + "\r\n";
  EXPECT_EQ(send("bob@example.com", "\r\n" + body).status, MANSIO_OK);
  std::string expected;
  for (const char c : body)
    if (c != '\r') expected += c;
  EXPECT_TRUE(text(files("example.com/bob/new").at(0)).ends_with("bob@example.com\n\n" + expected));
}

TEST_F(TransportMaildirTest, EndsTheLastLine) {
  EXPECT_EQ(send("bob@example.com", "\r\nno end").status, MANSIO_OK);
  EXPECT_THAT(text(files("example.com/bob/new").at(0)), ::testing::EndsWith("\nno end\n"));
}

TEST_F(TransportMaildirTest, ReportsEachRecipientOnItsOwn) {
  const auto result = host().run({.sender = "",
                                  .recipients = {{"bob@example.com", "Bob+x@example.com", "", 0},
                                                 {"../x@example.com", "", "", 0},
                                                 {"eve@example.com", "", "", 0}},
                                  .content = "\r\n"});
  EXPECT_EQ(result.recipients.at(0).status, MANSIO_OK);
  EXPECT_EQ(result.recipients.at(1).status, MANSIO_FAIL);
  EXPECT_EQ(result.recipients.at(1).enhanced, "5.1.3");
  EXPECT_EQ(result.recipients.at(2).status, MANSIO_OK);
  const auto content = text(files("example.com/bob/new").at(0));
  EXPECT_THAT(content, HasSubstr("Return-Path: <>\n"));
  EXPECT_THAT(content, HasSubstr("X-Original-To: Bob+x@example.com\n"));
}

TEST_F(TransportMaildirTest, DeliversManyAtOnce) {
  std::vector<std::uint64_t> ops;
  ops.reserve(100);
  for (int i = 0; i < 100; ++i)
    ops.push_back(host().deliver({.sender = "a@b", .recipients = {{"bob@example.com", "", "", 0}}, .content = "\r\n"}));
  ASSERT_TRUE(host().run_until(
      [&] { return std::all_of(ops.begin(), ops.end(), [&](auto op) { return host().completed(op); }); }));
  EXPECT_EQ(files("example.com/bob/new").size(), 100u);
}

TEST_F(TransportMaildirTest, BouncesMailThatHasBeenHereBefore) {
  const auto reply = send("bob@example.com", "Received: x\r\nDELIVERED-TO:  Bob@Example.com \r\n\r\n");
  EXPECT_EQ(reply.status, MANSIO_FAIL);
  EXPECT_EQ(reply.enhanced, "5.4.6");
  EXPECT_EQ(send("bob@example.com", "Delivered-To: eve@example.com\r\n\r\nDelivered-To: bob@example.com\r\n").status,
            MANSIO_OK);
}

TEST_F(TransportMaildirTest, BouncesWhenTheQuotaWouldBeExceeded) {
  host({{"quota", "2k"}});
  EXPECT_EQ(send("bob@example.com", "\r\n" + std::string(1500, 'x') + "\r\n").status, MANSIO_OK);
  const auto reply = send("bob@example.com", "\r\n" + std::string(1500, 'x') + "\r\n");
  EXPECT_EQ(reply.status, MANSIO_FAIL);
  EXPECT_EQ(reply.enhanced, "5.2.2");
  EXPECT_EQ(files("example.com/bob/new").size(), 1u);
}

TEST_F(TransportMaildirTest, CountsSubfoldersButNotTrashIntoTheQuota) {
  for (const auto *folder : {".Trash", ".Lists"}) {
    fs::create_directories(root_ + "/example.com/bob/" + folder + "/cur");
    std::ofstream{root_ + "/example.com/bob/" + folder + "/cur/1.x"} << std::string(1000, 'x');
  }
  host({{"quota", "1500"}});
  EXPECT_EQ(send("bob@example.com", "\r\n" + std::string(200, 'x') + "\r\n").status, MANSIO_OK);
  EXPECT_EQ(send("bob@example.com", "\r\n" + std::string(200, 'x') + "\r\n").enhanced, "5.2.2");
}

TEST_F(TransportMaildirTest, KnowsNoUserWithoutAMaildirWhenItMayNotCreateOne) {
  host({{"create", "false"}});
  EXPECT_EQ(send("bob@example.com").enhanced, "5.1.1");
  fs::create_directories(root_ + "/example.com/bob");
  EXPECT_EQ(send("bob@example.com").status, MANSIO_OK);
}

TEST_F(TransportMaildirTest, DefersWhenTheMailboxCannotBeWritten) {
  fs::create_directories(root_ + "/example.com");
  std::ofstream{root_ + "/example.com/bob"} << "a file is in the way";
  const auto reply = send("bob@example.com");
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(reply.enhanced, "4.3.0");
  EXPECT_THAT(reply.text, ::testing::Not(HasSubstr(root_)));
  EXPECT_THAT(host().log, HasSubstr(root_ + "/example.com/bob/tmp"));
}

TEST_F(TransportMaildirTest, LeavesNothingBehindWhenWritingFails) {
  EXPECT_EQ(send("bob@example.com", "\r\n").status, MANSIO_OK);
  // As large as the message may be, so that what is put before it does not fit any more.
  const auto content = "\r\n" + std::string(200'000, 'x') + "\r\n";
  rlimit before{}, small{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, SIG_IGN);
  small = before;
  small.rlim_cur = content.size();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto reply = send("bob@example.com", content);
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(reply.status, MANSIO_DEFER);
  EXPECT_EQ(files("example.com/bob/new").size(), 1u);
  EXPECT_TRUE(files("example.com/bob/tmp").empty());
}

TEST_F(TransportMaildirTest, StopsAtCancellation) {
  host({{"workers", "1"}});
  std::vector<mansio::plugin::Recipient> many(200, {"bob@example.com", "", "", 0});
  const auto op = host().deliver({.sender = "a@b", .recipients = many, .content = "\r\n"});
  host().cancel(op);
  ASSERT_TRUE(host().run_until([&] { return host().completed(op); }));
  EXPECT_LT(files("example.com/bob/new").size(), 200u);
  EXPECT_EQ(host().result(op).recipients.at(199).status, MANSIO_DEFER);
}

TEST_F(TransportMaildirTest, GoesAwayWithWorkUnderWay) {
  for (int i = 0; i < 50; ++i)
    host().deliver({.sender = "a@b", .recipients = {{"bob@example.com", "", "", 0}}, .content = "\r\n"});
  host_.reset();
  EXPECT_TRUE(files("example.com/bob/tmp").empty());
}

TEST_F(TransportMaildirTest, RefusesAConfigurationThatCannotWork) {
  const auto *plugin = mansio_plugin_entry_1();
  EXPECT_THROW((FakeHost{plugin, {{"directory", "relative/{user}"}}}), std::runtime_error);
  EXPECT_THROW((FakeHost{plugin, {{"directory", root_ + "/{usr}"}}}), std::runtime_error);
  EXPECT_THROW((FakeHost{plugin, {{"directory", root_}, {"mode", "rw"}}}), std::runtime_error);
  EXPECT_THROW((FakeHost{plugin, {{"directory", root_}, {"workers", "0"}}}), std::runtime_error);
}

TEST_F(TransportMaildirTest, SaysOfEveryBadValueWhatItExpected) {
  const auto *plugin = mansio_plugin_entry_1();
  EXPECT_EQ(FakeHost::check(plugin, {{"directory", root_}}), "");
  EXPECT_EQ(
      FakeHost::check(plugin, {{"directory", "relative/{x}"}, {"mode", "9"}, {"over_quota", "huh"}, {"workers", "0"}}),
      "directory is \"relative/{x}\", which must be an absolute path; expected a path such as "
      "\"/var/mail/{domain}/{local}\"\n"
      "mode is \"9\", expected an octal number from 0600 to 0777 such as \"0640\": the owner must be able to read "
      "and write\n"
      "over_quota is \"huh\", expected \"bounce\", \"defer\" or \"\"\n"
      "workers is 0, expected an integer from 1 to 256\n");
}

TEST_F(TransportMaildirTest, ReadmeHasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}

}  // namespace
