// SystemFacts: what `mansio check --system` looks at of the machine, gathered in one place, so that the judgement
// (system_check.hpp) is a pure function of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/file.hpp"

namespace mansio::cli {

struct Mount {
  std::string point, type;           // "/var", "ext4"
  std::vector<std::string> options;  // of the mount and of its file system
  bool has(std::string_view option) const;
};
// The mount that holds `path` (absolute, without links), from /proc/self/mountinfo (proc(5)).
std::optional<Mount> mount_of(std::string_view mountinfo, std::string_view path);

struct SyncTimes {  // microseconds, of one sync after one small write
  std::uint64_t median = 0, p99 = 0;
};

struct SystemFacts {
  std::uint64_t open_files = 0;                // the most that a process here may have open
  std::optional<std::uint64_t> user_threads;   // the most that a user's processes may have; none: no limit
  std::optional<std::uint64_t> group_threads;  // ... this shell's control group and those above it
  std::optional<std::uint64_t> group_memory;   // bytes, of the same
  std::vector<std::string> name_servers;       // of the system
  std::map<std::string, std::string> sysctls;
  std::string huge_pages;  // "always [madvise] never"; "" if unknown

  std::string spool;   // as it is on the disk
  bool exists = true;  // else `spool` is the nearest directory above that does
  std::optional<Mount> mount;
  bool sync_attribute = false, journal_attribute = false, no_cow_attribute = false;  // chattr(1) S, j, C
  std::optional<io::Space> space;
  std::optional<SyncTimes> syncs;
  std::string not_measured;  // why not
};

// The least number in `file` of a control group and of those above it: of version 2, whose own place is in the text of
// /proc/self/cgroup, below `root`. None where nothing is limited.
std::optional<std::uint64_t> control_group_limit(const std::string &root, std::string_view own,
                                                 const std::string &file);
// Those of resolv.conf(5).
std::vector<std::string> name_servers_of(std::string_view resolv_conf);

// Measures the disk for that long, with a file of its own in the spool.
SystemFacts look_at_system(const std::string &spool, double seconds);

}  // namespace mansio::cli
