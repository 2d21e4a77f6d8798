// What each failing system call makes of a delivery: nothing is left behind, and the status fits the error.
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "plugins/transport-maildir/status.hpp"

namespace maildir {
namespace {

namespace fs = std::filesystem;

// The n-th call fails with `error`, and so do all after it that would use space.
class FailingFiles final : public Files {
 public:
  FailingFiles(int nth, int error) : left_(nth), error_(error) {}
  int mkdir(const std::string &path, mode_t mode) override { return fails() ? -1 : Files::mkdir(path, mode); }
  int open(const std::string &path, int flags, mode_t mode) override {
    return fails() ? -1 : Files::open(path, flags, mode);
  }
  ssize_t write(int fd, const char *from, std::size_t n) override { return fails() ? -1 : Files::write(fd, from, n); }
  int chmod(int fd, mode_t mode) override { return fails() ? -1 : Files::chmod(fd, mode); }
  int sync(int fd) override { return fails() ? -1 : Files::sync(fd); }
  int close(int fd) override {
    const int rc = Files::close(fd);
    return fails() ? -1 : rc;
  }
  int rename(const std::string &from, const std::string &to) override { return fails() ? -1 : Files::rename(from, to); }
  bool failed = false;

 private:
  bool fails() {
    if (left_-- != 0) return false;
    failed = true;
    errno = error_;
    return true;
  }
  int left_;
  int error_;
};

// Remembers which directories and files were synced; the first sync of `fails` fails.
class RecordingFiles final : public Files {
 public:
  int open(const std::string &path, int flags, mode_t mode) override {
    const int fd = Files::open(path, flags, mode);
    paths_[fd] = path;
    return fd;
  }
  int sync(int fd) override {
    if (paths_[fd] == fails) {
      fails.clear();
      errno = EIO;
      return -1;
    }
    synced.insert(paths_[fd]);
    return Files::sync(fd);
  }
  std::string fails;
  std::set<std::string> synced;

 private:
  std::map<int, std::string> paths_;
};

class Failures : public ::testing::Test {
 protected:
  Failures() {
    std::string pattern = ::testing::TempDir() + "maildir.XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    folder_.path = root_ + "/bob";
    folder_.host = "mx.example.com";
    message_.headers = "Return-Path: <>\n";
    message_.length = text_.size();
    message_.read = [this](std::uint64_t offset, char *to, std::size_t n) {
      return static_cast<std::int64_t>(text_.copy(to, n, offset));
    };
  }
  ~Failures() override { fs::remove_all(root_); }

  std::size_t files(const std::string &part) const {
    std::error_code error;
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator{folder_.path + "/" + part, error}, fs::directory_iterator{}));
  }
  std::string status(int error, OverQuota over_quota = OverQuota::Default) const {
    const auto reply = reply_for({Outcome::SystemError, error, "write"}, "bob@example.com", over_quota);
    const auto e = reply.enhanced();
    EXPECT_EQ(reply.status(), e.cls == 5 ? MANSIO_FAIL : MANSIO_DEFER);
    return std::to_string(e.cls) + '.' + std::to_string(e.subject) + '.' + std::to_string(e.detail);
  }

  std::string root_, text_ = "Subject: x\r\n\r\nhello\r\n";
  Folder folder_;
  Message message_;
};

TEST_F(Failures, WhicheverCallFailsNothingIsLeftAndTheErrorIsReported) {
  for (const int error : {EDQUOT, ENOSPC, EACCES, EROFS}) {
    int calls = 0;
    for (;; ++calls) {
      fs::remove_all(folder_.path);
      FailingFiles failing{calls, error};
      Directories directories;
      const auto result = deliver(folder_, message_, directories, failing);
      if (!failing.failed) break;
      // Directories that are there already need not be created, and a descriptor that is only read from may fail to
      // close; every other failure is the delivery's.
      if (result.outcome == Outcome::Delivered) {
        EXPECT_EQ(files("new"), 1u);
        continue;
      }
      EXPECT_EQ(result.outcome, Outcome::SystemError);
      EXPECT_EQ(result.error, error) << calls << ' ' << result.what;
      EXPECT_EQ(files("new") + files("tmp"), 0u) << calls << ' ' << result.what;
    }
    EXPECT_GT(calls, 10);
  }
}

TEST_F(Failures, AMailboxWhoseNameCouldNotBeSyncedIsSyncedBeforeMailIsInIt) {
  Directories directories;
  RecordingFiles files;
  files.fails = root_;
  EXPECT_EQ(deliver(folder_, message_, directories, files).error, EIO);
  files.synced.clear();
  EXPECT_EQ(deliver(folder_, message_, directories, files).outcome, Outcome::Delivered);
  EXPECT_TRUE(files.synced.contains(root_));
}

TEST_F(Failures, WhatIsKnownToBeOnStableStorageIsNotSyncedAgain) {
  Directories directories;
  RecordingFiles files;
  ASSERT_EQ(deliver(folder_, message_, directories, files).outcome, Outcome::Delivered);
  files.synced.clear();
  ASSERT_EQ(deliver(folder_, message_, directories, files).outcome, Outcome::Delivered);
  EXPECT_EQ(files.synced.size(), 2u);  // the message, and new/
  fs::remove_all(folder_.path);
  ASSERT_EQ(deliver(folder_, message_, directories, files).outcome, Outcome::Delivered);
  EXPECT_TRUE(files.synced.contains(root_));
}

TEST_F(Failures, EachErrorHasItsStatus) {
  EXPECT_EQ(status(EDQUOT), "4.2.2");
  EXPECT_EQ(status(ENOSPC), "4.3.1");
  EXPECT_EQ(status(EACCES), "4.2.0");
  EXPECT_EQ(status(EPERM), "4.2.0");
  EXPECT_EQ(status(EROFS), "4.3.0");
  EXPECT_EQ(status(EFBIG), "4.2.2");
  EXPECT_EQ(status(EIO), "4.3.0");
  EXPECT_EQ(status(ENAMETOOLONG), "5.1.3");
}

TEST_F(Failures, WhetherAFullMailboxBouncesIsAChoice) {
  EXPECT_EQ(status(EDQUOT, OverQuota::Bounce), "5.2.2");
  EXPECT_EQ(status(EDQUOT, OverQuota::Defer), "4.2.2");
  const auto own = [](OverQuota choice) {
    return reply_for({Outcome::OverQuota, 0, ""}, "bob@example.com", choice).enhanced().cls;
  };
  EXPECT_EQ(own(OverQuota::Default), 5);
  EXPECT_EQ(own(OverQuota::Bounce), 5);
  EXPECT_EQ(own(OverQuota::Defer), 4);
}

}  // namespace
}  // namespace maildir
