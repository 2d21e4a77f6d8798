// The supervisor's parts that need no process: back-off, the sum of descriptors, what a reload may change, listeners,
// files.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "kernel/base/codec.hpp"
#include "kernel/supervisor/backoff.hpp"
#include "kernel/supervisor/checked.hpp"
#include "kernel/supervisor/files.hpp"
#include "kernel/supervisor/launcher.hpp"
#include "kernel/supervisor/listeners.hpp"

namespace mansio::supervisor {
namespace {

TEST(Backoff, DoublesUpToALimit) {
  Backoff b;
  Nanos last = 0;
  for (int i = 0; i < 20; ++i) {
    b.started(0);
    const auto wait = b.died(0);
    EXPECT_TRUE(wait == 2 * last || wait == Backoff::kFirst || wait == Backoff::kLongest);
    EXPECT_LE(wait, Backoff::kLongest);
    last = wait;
  }
  EXPECT_EQ(last, Backoff::kLongest);
}

TEST(Backoff, StartsAnewAfterAStableMinute) {
  Backoff b;
  for (int i = 0; i < 20; ++i) {
    b.started(0);
    (void)b.died(kSecond);
  }
  b.started(100 * kSecond);
  EXPECT_EQ(b.died(100 * kSecond + Backoff::kStable), Backoff::kFirst);
}

config::Plan plan() {
  config::Plan p;
  p.ingress_descriptors = 1000;
  p.connection_limit = 900;
  p.queue_descriptors = p.supervisor_descriptors = p.other_descriptors = 100;
  p.transports = {{"relay", "transport-smtp", 300}};
  return p;
}

TEST(DescriptorShortage, NamesTheProcessAndTheSetting) {
  EXPECT_EQ(descriptor_shortage(plan(), 1000, false), "");
  const auto text = descriptor_shortage(plan(), 999, false);
  EXPECT_NE(text.find("connection_limit"), std::string::npos) << text;
  EXPECT_NE(text.find("1000 open files"), std::string::npos) << text;
}

TEST(DescriptorShortage, AddsUpWhenAllRolesShareAProcess) {
  EXPECT_NE(descriptor_shortage(plan(), 1500, true), "");
  EXPECT_EQ(descriptor_shortage(plan(), 1700, true), "");
}

TEST(Reload, CannotMoveTheSpoolOrChangeTheUser) {
  Checked a, b;
  a.plan.spool = b.plan.spool = "/s";
  EXPECT_EQ(incompatible(a, b), "");
  b.plan.spool = "/t";
  EXPECT_NE(incompatible(a, b), "");
  b = a;
  b.plan.user = "other";
  EXPECT_NE(incompatible(a, b), "");
}

TEST(Checked, SurvivesTheCodec) {
  Checked c;
  c.plan = plan();
  c.plan.listeners = {{"smtp", {{"127.0.0.1", 25}}}};
  c.uid = 7;
  c.needs = {3};
  c.snapshot = "x";
  c.problems = {"p"};
  const auto back = decode<Checked>(encode(c));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->plan, c.plan);
  EXPECT_EQ(back->needs, c.needs);
  EXPECT_EQ(back->problems, c.problems);
  EXPECT_FALSE(decode<Checked>("nonsense"));
}

TEST(Listeners, KeepAnOpenSocketOverAChangeOfPlan) {
  Listeners l;
  const std::vector<config::PlanListener> one{{"smtp", {{"127.0.0.1", 0}}}};
  ASSERT_TRUE(l.open(one).ok());
  ASSERT_EQ(l.all().size(), 1u);
  const int fd = l.all()[0].fd.get();
  EXPECT_NE(l.all()[0].shown, "127.0.0.1:0");
  const std::vector<config::PlanListener> two{{"mx", {{"127.0.0.1", 0}, {"127.0.0.2", 0}}}};
  ASSERT_TRUE(l.open(two).ok());
  l.keep_only(two);
  ASSERT_EQ(l.all().size(), 2u);
  EXPECT_EQ(l.all()[0].fd.get(), fd);
  EXPECT_EQ(l.all()[0].listener, "mx");
  l.keep_only(one);
  EXPECT_EQ(l.all().size(), 1u);
}

TEST(Listeners, OpenAllOrNothing) {
  Listeners busy, l;
  ASSERT_TRUE(busy.open({{"x", {{"127.0.0.1", 0}}}}).ok());
  const auto shown = busy.all()[0].shown;
  const auto port = static_cast<std::uint16_t>(std::stoi(shown.substr(shown.rfind(':') + 1)));
  const auto opened = l.open({{"a", {{"127.0.0.1", 0}, {"127.0.0.1", port}}}});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().status, Status::Busy);
  EXPECT_NE(opened.error().text.find(shown), std::string::npos);
  EXPECT_TRUE(l.all().empty());
}

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/mansio-files-XXXXXX";
    dir_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string dir_;
};

TEST_F(FilesTest, OnlyRegularFilesAreOpened) {
  std::ofstream{dir_ + "/file"} << "x";
  ASSERT_EQ(::mkfifo((dir_ + "/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(open_regular(dir_ + "/file").fd);
  EXPECT_EQ(open_regular(dir_ + "/fifo").error, EINVAL);  // and did not wait for a writer
  EXPECT_EQ(open_regular(dir_).error, EISDIR);
  EXPECT_EQ(open_regular("/dev/null").error, EINVAL);
  EXPECT_EQ(open_regular(dir_ + "/none").error, ENOENT);
}

TEST_F(FilesTest, PathsOfAPatternAreSorted) {
  for (const auto *n : {"/b.toml", "/a.toml", "/c.txt"}) std::ofstream{dir_ + n} << "";
  EXPECT_EQ(glob_paths(dir_ + "/*.toml").paths, (std::vector<std::string>{dir_ + "/a.toml", dir_ + "/b.toml"}));
  const auto none = glob_paths(dir_ + "/*.x");
  EXPECT_TRUE(none.paths.empty());
  EXPECT_EQ(none.error, 0);
}

TEST_F(FilesTest, ASpoolIsLockedByOneAndNamesItsHolder) {
  ASSERT_TRUE(make_spool(dir_ + "/deep/spool", -1, -1).ok());
  auto first = lock_instance(dir_ + "/deep/spool");
  ASSERT_TRUE(first.ok());
  const auto second = lock_instance(dir_ + "/deep/spool");
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.error().text.find(std::to_string(::getpid())), std::string::npos);
  first->reset();
  EXPECT_TRUE(lock_instance(dir_ + "/deep/spool").ok());
}

TEST_F(FilesTest, ASpoolInUseByAnotherUserIsNotTakenOver) {
  if (::geteuid() != 0) return;  // only root could
  ASSERT_TRUE(make_spool(dir_ + "/spool", 65534, 65534).ok());
  std::ofstream{dir_ + "/spool/segment"} << "x";
  EXPECT_TRUE(make_spool(dir_ + "/spool", 65534, 65534).ok());
  EXPECT_FALSE(make_spool(dir_ + "/spool", 12345, 12345).ok());
}

TEST(Roles, AreKnownByName) {
  EXPECT_EQ(kind_of("ingress.12"), wire::RoleKind::Ingress);
  EXPECT_EQ(kind_of("queue"), wire::RoleKind::Queue);
  EXPECT_EQ(kind_of("egress.relay.x"), wire::RoleKind::Egress);
  EXPECT_EQ(kind_of("shell"), wire::RoleKind::Supervisor);
}

}  // namespace
}  // namespace mansio::supervisor
