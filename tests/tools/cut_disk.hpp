// A disk whose power can be cut, as a directory tree of the running system sees it: names, owners and modes above the
// disk of the unit tests (support/fault_files.hpp), which decides what a cut leaves of the unsynced rest. So the whole
// program meets the same disk as the spool's own tests.
//
// Content and names of files are lost as that disk loses them. Directories, sockets, owners and modes are kept at once:
// Mansio promises nothing of them.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tests/support/fault_files.hpp"

namespace mansio::test {

struct Entry {
  mode_t mode = 0;  // type included
  uid_t uid = 0;
  gid_t gid = 0;
};

// Any thread may call; paths begin with "/", the root is "/". Functions of int return 0 or an errno, negative.
class CutDisk {
 public:
  explicit CutDisk(std::string platter);  // a directory: what is on stable storage
  void load();

  bool off() const { return off_; }
  void cut_after(std::uint64_t operations) { files_.cut_after(operations); }
  std::uint64_t operations() const { return files_.operations(); }
  // Once the power is off: what is left of it becomes the platter's content.
  void save(std::uint64_t seed);

  int find(const std::string &path, Entry &entry);
  int size(const std::string &path, std::uint64_t &bytes);
  int make(const std::string &path, const Entry &entry);  // a directory or a socket
  int open(const std::string &path, const Entry *create, std::unique_ptr<io::File> &file);
  int remove(const std::string &path);
  int rename(const std::string &from, const std::string &to);
  int change(const std::string &path, const Entry &entry);
  int list(const std::string &path, std::vector<std::string> &names);
  int sync_directory(const std::string &path);
  int check(const Result<void> &result);  // also notices that the power has gone

 private:
  std::string name_of(const std::string &path) const { return path == "/" ? path : path.substr(path.rfind('/') + 1); }

  std::string platter_;
  FaultFiles files_;
  std::atomic<bool> off_ = false;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
};

}  // namespace mansio::test
