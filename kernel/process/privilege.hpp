// Where every role gives up what it does not need: user and groups, new privileges, system calls, files.
//
// It happens once, before any code of the role runs and before it has any thread: whatever needs more rights is
// done by the supervisor and arrives as a descriptor. So a role never creates a file as root that its user could
// not open later, and no thread of it escapes the restrictions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/base/result.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::process {

// What stays allowed. The sandbox is a second wall behind the user id, not the only one.
struct Privileges {
  std::int64_t uid = -1, gid = -1;    // -1: stay who we are (not started as root)
  bool sandbox = true;                // seccomp and Landlock
  bool exec = false;                  // execve
  bool chroot = false;                // chroot, which only root can
  bool network = true;                // sockets beyond AF_UNIX
  bool write_anywhere = false;        // no Landlock on writing: a plugin that delivers into files
  std::vector<std::string> readable;  // besides the system's libraries and /etc
  std::vector<std::string> writable;
  std::vector<std::string> own;       // directories that are made if they are not there, mode 0700, and writable
  std::vector<std::string> optional;  // the same, but done without where they cannot be made
};

// Where the plugin instance of an egress or host process keeps its state; `table`: of the configuration, "filter.spam".
std::string state_directory(const wire::Start &start);
std::string state_directory(const std::string &spool, const std::string &table);

// Where an ingress process writes recordings of sessions; "": no listener wants any.
std::string recordings_directory(const wire::Start &start, const config::Settings &settings);

Privileges privileges_for(const wire::Start &start, const config::Settings &settings);

// Those of `own` and `optional`, by whoever we are: drop_privileges() does it as the user, and a role that is a thread
// (`--single`) gives up nothing and still has them.
Result<void> make_directories(const Privileges &keep);

// Fails when the user cannot be changed, which nobody may ignore. Returns what of the sandbox this kernel lacks
// ("" = all in force), for the log.
Result<std::string> drop_privileges(const Privileges &keep);

// The child ends when the process that made it ends (PR_SET_PDEATHSIG); also called after the user has changed,
// which clears the setting.
void die_with_parent();

// setgroups, setgid, setuid, verified not to be reversible.
Result<void> become(std::int64_t uid, std::int64_t gid);

}  // namespace mansio::process
