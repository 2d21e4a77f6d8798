// check --system: what is found fault with, and what it says to do.
#include "kernel/cli/system_check.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernel/io/fd.hpp"

namespace mansio::cli {
namespace {

constexpr std::string_view kMounts =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro\n"
    "40 27 254:1 / /var rw,noatime shared:2 master:7 - xfs /dev/vdb rw,attr2\n"
    "41 40 0:50 / /var/spool/my\\040mail rw,noatime - btrfs /dev/vdc rw,space_cache\n"
    "broken line\n"
    "42 27 254:2 / /var rw,sync - ext4 /dev/vdd rw,data=journal\n";

TEST(MountOf, IsTheDeepestThatHoldsThePathAndOfTwoTheLater) {
  EXPECT_EQ(mount_of(kMounts, "/home/x")->type, "ext4");
  EXPECT_EQ(mount_of(kMounts, "/variable")->point, "/");
  const auto var = mount_of(kMounts, "/var/spool/mansio");
  EXPECT_EQ(var->type, "ext4");
  EXPECT_TRUE(var->has("sync"));
  EXPECT_TRUE(var->has("data=journal"));
  EXPECT_EQ(mount_of(kMounts, "/var/spool/my mail")->type, "btrfs");
  EXPECT_FALSE(mount_of("", "/"));
}

class SystemCheck : public ::testing::Test {
 protected:
  SystemCheck() {
    settings.listeners.resize(1);
    settings.listeners[0].name = "smtp";
    settings.transports.resize(1);
    settings.transports[0].name = "smtp";
    facts.open_files = 1'000'000;
    facts.sysctls = {{"fs.file-max", "9223372036854775807"},
                     {"net.core.somaxconn", "4096"},
                     {"net.ipv4.tcp_max_syn_backlog", "1024"},
                     {"net.ipv4.ip_local_port_range", "32768 60999"},
                     {"net.ipv4.tcp_syncookies", "1"},
                     {"net.ipv4.tcp_tw_reuse", "2"},
                     {"vm.overcommit_memory", "0"},
                     {"kernel.threads-max", "127000"},
                     {"kernel.pid_max", "4194304"}};
    facts.name_servers = {"127.0.0.53"};
    facts.huge_pages = "always [madvise] never";
    facts.spool = "/var/spool/mansio";
    facts.mount = Mount{"/var", "ext4", {"rw", "noatime"}};
    facts.space = io::Space{100ull << 30, 200ull << 30};
    facts.syncs = SyncTimes{200, 900};
  }
  // The findings that are not Ok, as text.
  std::string faults(Grade least = Grade::Advice) {
    auto all = judge_system(facts, settings);
    std::erase_if(all, [&](const Finding &f) { return f.grade < least; });
    return to_text(all);
  }
  void expect(Grade grade, std::string_view found, std::string_view advice) {
    const auto all = judge_system(facts, settings);
    const auto at = std::find_if(all.begin(), all.end(), [&](const Finding &f) {
      return f.grade == grade && (f.subject + ": " + f.found).find(found) != std::string::npos;
    });
    ASSERT_NE(at, all.end()) << to_text(all);
    EXPECT_NE(at->advice.find(advice), std::string::npos) << at->advice;
  }
  config::Settings settings;
  SystemFacts facts;
};

TEST_F(SystemCheck, FindsNoFaultWithAGoodMachine) {
  EXPECT_EQ(faults(), "");
  EXPECT_NE(to_text(judge_system(facts, settings)).find("ok       sync: 200 us"), std::string::npos);
}

TEST_F(SystemCheck, ADelayWantsMoreThanOneRoundOfFailures) {
  auto &smtp = settings.transports[0];
  smtp.destination_rate_delay = kSecond;
  expect(Grade::Advice, "[transport.smtp]: destination_rate_delay and", "raise the second");
  smtp.destination_concurrency_failed_cohort_limit = 100;
  EXPECT_EQ(faults(), "");
  config::DestinationRule slow;
  slow.match = {"slow.example"};
  slow.limits.destination_concurrency_limit = 1;
  smtp.destinations.push_back(slow);
  expect(Grade::Advice, "[[transport.smtp.destination]] of slow.example: destination_concurrency_limit = 1 and",
         "all mail");
  smtp.destinations[0].limits.destination_concurrency_failed_cohort_limit = 0;  // never dead
  EXPECT_EQ(faults(), "");
}

TEST_F(SystemCheck, CountsDescriptors) {
  facts.open_files = 1024;
  expect(Grade::Problem, "open files: 1024", "LimitNOFILE=");
  facts.sysctls["fs.file-max"] = "5000";
  expect(Grade::Problem, "fs.file-max: 5000", "sysctl -w fs.file-max=");
}

TEST_F(SystemCheck, CountsProcessesAndTheirThreads) {
  facts.user_threads = 50;
  facts.group_threads = 40;
  expect(Grade::Problem, "processes of a user: 50", "LimitNPROC=");
  expect(Grade::Problem, "processes of the control group: 40", "TasksMax=");
  facts.user_threads = facts.group_threads = 1'000'000;
  EXPECT_EQ(faults(), "");
  facts.sysctls["kernel.threads-max"] = "60";
  expect(Grade::Problem, "kernel.threads-max: 60", "sysctl -w kernel.threads-max=");
  facts.sysctls["kernel.pid_max"] = "100";
  expect(Grade::Problem, "kernel.pid_max: 100", "in /etc/sysctl.d");
  facts.sysctls["kernel.threads-max"] = facts.sysctls["kernel.pid_max"] = "1000";
  EXPECT_EQ(faults(), "");
  settings.lookups.resize(1);
  settings.lookups[0].budget.threads = 1000;  // in each ingress process and the router
  facts.user_threads = 3000;
  expect(Grade::Problem, "processes of a user: 3000", "LimitNPROC=");
}

TEST_F(SystemCheck, TellsOfAControlGroupsMemory) {
  facts.group_memory = 64ull << 20;
  expect(Grade::Advice, "memory of the control group: 64 MiB", "MemoryMax=");
  facts.group_memory = 64ull << 30;
  EXPECT_EQ(faults(), "");
}

TEST_F(SystemCheck, AdvisesANameServerOnTheMachine) {
  facts.name_servers = {"192.0.2.53"};
  expect(Grade::Advice, "name servers: 192.0.2.53", "servers = [\"127.0.0.1\"]");
  settings.dns.servers = {"127.0.0.1:5353"};
  EXPECT_EQ(faults(), "");
  settings.dns.servers = {"192.0.2.1"};
  facts.name_servers = {"127.0.0.53"};
  expect(Grade::Advice, "name servers: 192.0.2.1", "unbound");
  settings.dns.servers.clear();
  facts.name_servers = {"::1"};
  EXPECT_EQ(faults(), "");
}

TEST(NameServers, AreThoseOfResolvConf) {
  EXPECT_EQ(name_servers_of("# nameserver 192.0.2.1\nnameserver 192.0.2.2\nsearch example.com\n"
                            "nameserver\t::1\nnameserver\noptions edns0"),
            (std::vector<std::string>{"192.0.2.2", "::1"}));
  EXPECT_TRUE(name_servers_of("").empty());
}

TEST(ControlGroup, HasTheLeastLimitOfItsOwnAndOfThoseAboveIt) {
  namespace fs = std::filesystem;
  const auto root = fs::path{::testing::TempDir()} / ("cgroup." + std::to_string(::getpid()));
  fs::create_directories(root / "system.slice" / "mansio.service");
  const auto write = [&](const fs::path &directory, const std::string &text) {
    std::ofstream{root / directory / "pids.max"} << text;
  };
  const auto limit = [&](const std::string &own) { return control_group_limit(root.string(), own, "pids.max"); };
  EXPECT_EQ(limit("0::/system.slice/mansio.service\n"), std::nullopt);
  write("system.slice/mansio.service", "max\n");
  write("system.slice", "500\n");
  EXPECT_EQ(limit("1:name=systemd:/x\n0::/system.slice/mansio.service\n"), 500u);
  write("system.slice/mansio.service", "100\n");
  EXPECT_EQ(limit("0::/system.slice/mansio.service\n"), 100u);
  EXPECT_EQ(limit("0::/system.slice\n"), 500u);
  EXPECT_EQ(limit("0::/\n"), std::nullopt);
  write("", "7\n");  // as a container's own
  EXPECT_EQ(limit("0::/\n"), 7u);
  EXPECT_EQ(limit("1:pids:/old\n"), 7u);
  fs::remove_all(root);
}

// chattr(1) S, and j and C where the file system has them and lets us set them. Of a spool that is not there yet the
// directory above it is looked at, and no sync is measured.
TEST(LookAtSystem, ReadsTheFileAttributesOfTheSpool) {
  const auto above = std::filesystem::path{::testing::TempDir()} / ("attributes." + std::to_string(::getpid()));
  std::filesystem::create_directories(above);
  const io::UniqueFd fd{::open(above.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const auto set = [&](int flags) { return ::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags) == 0; };
  int none = 0;
  int error = ::ioctl(fd.get(), FS_IOC_GETFLAGS, &none) == 0 ? 0 : errno;
  none &= ~(FS_SYNC_FL | FS_JOURNAL_DATA_FL | FS_NOCOW_FL);
  if (error == 0 && !set(none | FS_SYNC_FL)) error = errno;
  for (const int flag : {0, FS_SYNC_FL, FS_JOURNAL_DATA_FL, FS_NOCOW_FL}) {
    if (error != 0 || !set(none | flag)) continue;
    const auto facts = look_at_system((above / "spool").string(), 0);
    EXPECT_EQ(facts.sync_attribute, flag == FS_SYNC_FL);
    EXPECT_EQ(facts.journal_attribute, flag == FS_JOURNAL_DATA_FL);
    EXPECT_EQ(facts.no_cow_attribute, flag == FS_NOCOW_FL);
  }
  std::filesystem::remove_all(above);
  if (error == ENOTTY || error == EOPNOTSUPP) GTEST_SKIP() << "the file system here has no attribute S";
  EXPECT_EQ(error, 0) << std::strerror(error);
}

TEST_F(SystemCheck, LooksAtWhatManyConnectionsNeed) {
  facts.sysctls["net.core.somaxconn"] = "128";
  expect(Grade::Advice, "net.core.somaxconn: 128", "sysctl -w net.core.somaxconn=1024");
  facts.sysctls["net.ipv4.ip_local_port_range"] = "32768 40000";
  facts.sysctls["net.ipv4.tcp_tw_reuse"] = "0";
  EXPECT_EQ(faults().find("port_range"), std::string::npos) << "few deliveries do not need them";
  settings.transports[0].process_limit = 2000;
  expect(Grade::Advice, "ip_local_port_range: 32768 40000", "10240 65535");
  expect(Grade::Advice, "tcp_tw_reuse: 0", "=1");
  facts.sysctls.clear();
  facts.huge_pages.clear();
  facts.name_servers.clear();
  EXPECT_EQ(faults(), "") << "what the system does not say is no fault";
}

TEST_F(SystemCheck, MemoryAndHugePages) {
  facts.sysctls["vm.overcommit_memory"] = "2";
  facts.huge_pages = "always madvise [never]";
  expect(Grade::Advice, "vm.overcommit_memory: 2", "0 or 1");
  expect(Grade::Advice, "huge pages", "madvise");
}

TEST_F(SystemCheck, AFileSystemThatLosesMailIsAProblem) {
  for (const auto *type : {"tmpfs", "nfs4"}) {
    facts.mount->type = type;
    EXPECT_NE(faults(Grade::Problem), "") << type;
  }
  facts.mount->type = "ext4";
  for (const auto *option : {"nobarrier", "barrier=0", "ro"}) {
    facts.mount->options = {option, "noatime"};
    EXPECT_NE(faults(Grade::Problem).find(option == std::string{"ro"} ? "read only" : option), std::string::npos);
  }
}

TEST_F(SystemCheck, WhatOnlyCostsSpeedIsAdvice) {
  facts.mount->options = {"rw", "relatime", "sync", "data=journal"};
  facts.sync_attribute = true;
  expect(Grade::Advice, "ext4 on /var, relatime", "remount,noatime /var");
  expect(Grade::Advice, "ext4 on /var, sync", "remount without");
  expect(Grade::Advice, "attribute S", "chattr -R -S");
  expect(Grade::Advice, "data in the journal", "data=ordered");
  EXPECT_EQ(faults(Grade::Problem), "");
  facts.mount = Mount{"/var", "btrfs", {"noatime"}};
  facts.sync_attribute = false;
  expect(Grade::Advice, "copy on write", "chattr +C");
  facts.no_cow_attribute = true;
  EXPECT_EQ(faults(), "");
}

TEST_F(SystemCheck, SpaceIsMeasuredAgainstTheReserve) {
  facts.space->free = settings.spool_settings.reserve - 1;
  expect(Grade::Problem, "space", "make room");
  facts.space->free = settings.spool_settings.reserve + 1;
  expect(Grade::Advice, "space", "make room");
}

TEST_F(SystemCheck, SyncsThatAreTooFastOrTooSlow) {
  facts.syncs = SyncTimes{3, 5};
  expect(Grade::Problem, "sync: 3 us", "no disk is so fast");
  facts.syncs = SyncTimes{30'000, 50'000};
  expect(Grade::Advice, "sync: 30000 us", "mansio spool bench");
  facts.syncs.reset();
  facts.not_measured = "Permission denied";
  expect(Grade::Advice, "not measured: Permission denied", "as root");
  facts.exists = false;
  EXPECT_EQ(faults(), "");
}

}  // namespace
}  // namespace mansio::cli
