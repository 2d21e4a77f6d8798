// Privileges are dropped for good, so each test looks at a child that has dropped them.
#include "kernel/process/privilege.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace mansio::process {
namespace {

// What `look` returned after dropping; -1: dropping failed.
template <class F>
int in_child(const Privileges &keep, F look) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const auto dropped = drop_privileges(keep);
    ::_exit(dropped ? look(*dropped) : 255);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

TEST(DropPrivileges, NobodyExecutesPrograms) {
  EXPECT_EQ(in_child({},
                     [](const std::string &) {
                       ::execl("/bin/true", "true", nullptr);
                       return errno == EPERM ? 7 : 8;
                     }),
            7);
}

TEST(DropPrivileges, ARoleWithoutNetworkOpensNoInternetSocket) {
  Privileges keep;
  keep.network = false;
  EXPECT_EQ(in_child(keep,
                     [](const std::string &) {
                       const bool refused = ::socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM &&
                                            ::socket(AF_INET6, SOCK_DGRAM, 0) < 0;
                       return refused && ::socket(AF_UNIX, SOCK_DGRAM, 0) >= 0 ? 7 : 8;
                     }),
            7);
}

TEST(DropPrivileges, OnlyNamedDirectoriesAreWritten) {
  char inside[] = "/tmp/mansio-in-XXXXXX", outside[] = "/tmp/mansio-out-XXXXXX";
  ASSERT_TRUE(::mkdtemp(inside) && ::mkdtemp(outside));
  Privileges keep;
  keep.writable.push_back(inside);
  const std::string in = std::string{inside} + "/x", out = std::string{outside} + "/x";
  EXPECT_EQ(in_child(keep,
                     [&](const std::string &missing) {
                       if (missing.find("Landlock") != std::string::npos) return 7;  // this kernel has none
                       if (::open(in.c_str(), O_WRONLY | O_CREAT, 0600) < 0) return 1;
                       if (::open(out.c_str(), O_WRONLY | O_CREAT, 0600) >= 0) return 2;
                       return ::open("/etc/passwd", O_RDONLY) >= 0 ? 7 : 3;
                     }),
            7);
  ::unlink(in.c_str());
  ::unlink(out.c_str());
  ::rmdir(inside);
  ::rmdir(outside);
}

TEST(DropPrivileges, RootIsLeftForGood) {
  Privileges keep;
  if (::geteuid() == 0) keep.uid = keep.gid = 65534;
  EXPECT_EQ(in_child(keep,
                     [](const std::string &) {
                       return ::geteuid() != 0 && ::setuid(0) != 0 && ::setgid(0) != 0 && ::getgroups(0, nullptr) <= 1
                                  ? 7
                                  : 8;
                     }),
            ::geteuid() == 0 || ::getuid() != 0 ? 7 : 8);
}

TEST(PrivilegesFor, OnlyTransportsThatNeedItHaveTheNetwork) {
  config::Settings settings;
  wire::Start start;
  start.self.kind = wire::RoleKind::Egress;
  EXPECT_FALSE(privileges_for(start, settings).network);
  start.needs = 1;
  EXPECT_TRUE(privileges_for(start, settings).network);
  start.self.kind = wire::RoleKind::Router;
  EXPECT_FALSE(privileges_for(start, settings).network);
  settings.transports.emplace_back().destination_key = config::DestinationKey::Site;
  EXPECT_TRUE(privileges_for(start, settings).network);
  start.self.kind = wire::RoleKind::Ingress;
  EXPECT_TRUE(privileges_for(start, settings).network);
}

TEST(PrivilegesFor, OnlyRootsPluginsThatRunProgramsMayChangeTheRootDirectory) {
  config::Settings settings;
  wire::Start start;
  for (const auto kind : {wire::RoleKind::Egress, wire::RoleKind::Host}) {
    start.self.kind = kind;
    start.needs = 4;
    start.uid = 0;
    EXPECT_TRUE(privileges_for(start, settings).chroot);
    start.uid = 65534;
    EXPECT_FALSE(privileges_for(start, settings).chroot);
    start.uid = 0;
    start.needs = 1;
    EXPECT_FALSE(privileges_for(start, settings).chroot);
  }
}

TEST(PrivilegesFor, WhatKeepsOrTakesStateHasADirectoryOfItsOwn) {
  config::Settings settings;
  wire::Start start;
  start.self.kind = wire::RoleKind::Host;
  start.spool = "/spool";
  start.policy = "p";
  for (const std::uint32_t needs : {8u, 16u}) {
    start.needs = needs;
    EXPECT_EQ(privileges_for(start, settings).own, std::vector<std::string>{"/spool/state/policy.p"});
  }
  start.needs = 1;
  EXPECT_TRUE(privileges_for(start, settings).own.empty());
}

TEST(PrivilegesFor, NoKeyIsOpenToTheProcessesThatTakeMail) {
  config::Settings settings;
  settings.listeners.emplace_back().smtpd.tls_key_file = "/etc/mansio/key.pem";
  wire::Start start;
  start.self.kind = wire::RoleKind::Ingress;
  EXPECT_EQ(privileges_for(start, settings).readable, std::vector<std::string>{});
}

TEST(PrivilegesFor, OnlyAProcessThatRecordsHasADirectoryForRecordings) {
  config::Settings settings;
  wire::Start start;
  start.self.kind = wire::RoleKind::Ingress;
  start.spool = "/spool";
  settings.record_directory = "/recordings";
  settings.listeners.emplace_back();
  EXPECT_EQ(privileges_for(start, settings).optional, std::vector<std::string>{});
  settings.listeners[0].smtpd.record = true;
  EXPECT_EQ(privileges_for(start, settings).optional, std::vector<std::string>{"/recordings"});
  settings.record_directory.clear();
  EXPECT_EQ(privileges_for(start, settings).optional, std::vector<std::string>{"/spool/recordings"});
  start.self.kind = wire::RoleKind::Router;
  EXPECT_EQ(privileges_for(start, settings).optional, std::vector<std::string>{});
}

TEST(DropPrivileges, GoesOnWithoutADirectoryThatCannotBeMade) {
  Privileges keep;
  keep.sandbox = false;
  keep.optional = {"/dev/null/recordings"};
  EXPECT_EQ(in_child(keep, [](const std::string &) { return 7; }), 7);
}

TEST(PrivilegesFor, OnlyTransportsThatNeedItMayWriteAnywhere) {
  config::Settings settings;
  wire::Start start;
  start.self.kind = wire::RoleKind::Egress;
  EXPECT_FALSE(privileges_for(start, settings).write_anywhere);
  EXPECT_FALSE(privileges_for(start, settings).exec);
  start.needs = 2;
  EXPECT_TRUE(privileges_for(start, settings).write_anywhere);
  start.self.kind = wire::RoleKind::Queue;
  start.spool = "/spool";
  const auto queue = privileges_for(start, settings);
  EXPECT_FALSE(queue.network);
  EXPECT_EQ(queue.writable, std::vector<std::string>{"/spool"});
}

}  // namespace
}  // namespace mansio::process
