#include "kernel/process/sandbox.hpp"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "kernel/io/fd.hpp"

namespace mansio::process {
namespace {

constexpr std::uint64_t kRefer = 1ull << 13;     // since Landlock 2; without it no rename crosses directories
constexpr std::uint64_t kTruncate = 1ull << 14;  // since 3; Debian 12's header is older

constexpr std::uint64_t kFileRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE;
constexpr std::uint64_t kRead = kFileRead | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kFileWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate;
constexpr std::uint64_t kAll = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

// The system's read-only part: shared libraries and NSS modules loaded late, resolv.conf, hosts, CA certificates,
// time zones. The sanitizers read /proc.
constexpr const char *kSystem[] = {
    "/usr", "/lib", "/lib64", "/etc", "/proc", "/sys/devices/system/cpu", "/run/systemd/resolve", "/dev/urandom"};

bool allow(int ruleset, const std::string &path, std::uint64_t access) {
  if (path.empty()) return true;
  const io::UniqueFd fd{::open(path.c_str(), O_PATH | O_CLOEXEC)};
  struct stat st {};
  if (!fd || ::fstat(fd.get(), &st) != 0) return true;  // what is not there cannot be allowed, nor reached
  if (!S_ISDIR(st.st_mode)) access &= kFileRead | kFileWrite;
  landlock_path_beneath_attr rule{};
  rule.allowed_access = access;
  rule.parent_fd = fd.get();
  return ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

}  // namespace

Result<void> restrict_files(const Privileges &keep) {
  if (keep.write_anywhere) return {};
  const auto version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  // Version 1 forbids every rename between directories, which the spool does.
  if (version < 2) return Error{Status::Unsupported, "Landlock is not available"};
  std::uint64_t handled = kAll | kRefer;
  if (version >= 3) handled |= kTruncate;
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = handled;
  const io::UniqueFd ruleset{
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  bool ok = static_cast<bool>(ruleset);
  for (const auto *path : kSystem) ok = ok && allow(ruleset.get(), path, kRead & handled);
  ok = ok && allow(ruleset.get(), "/dev/null", (kFileRead | kFileWrite) & handled);
  for (const auto &path : keep.readable) ok = ok && allow(ruleset.get(), path, kRead & handled);
  for (const auto *paths : {&keep.writable, &keep.own, &keep.optional})
    for (const auto &path : *paths) ok = ok && allow(ruleset.get(), path, handled);
  ok = ok && ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) == 0;
  if (!ok) return Error{Status::Internal, std::string{"Landlock: "} + std::strerror(errno)};
  return {};
}

// A deny list on purpose: an allow list breaks with every new libc, and the calls that matter to an attacker who
// already is an unprivileged, file-restricted process are few.
Result<void> restrict_system_calls(const Privileges &keep) {
  const std::unique_ptr<void, decltype(&seccomp_release)> filter{seccomp_init(SCMP_ACT_ALLOW), seccomp_release};
  if (!filter) return Error{Status::Unsupported, "seccomp is not available"};
  bool ok = true;
  const auto deny = [&](const char *name) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) return;  // newer than libseccomp
    const int rc = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0);
    ok = ok && (rc == 0 || rc == -EDOM);
  };
  if (!keep.exec) {
    deny("execve");
    deny("execveat");
  }
  if (!keep.chroot) deny("chroot");
#ifndef MANSIO_TRACES_ITSELF
  deny("ptrace");
#endif
  for (const auto *name : {"process_vm_readv",
                           "process_vm_writev",
                           "kcmp",
                           "pidfd_getfd",  // others' memory
                           "mount",
                           "umount2",
                           "pivot_root",
                           "move_mount",
                           "open_tree",
                           "fsopen",
                           "fsconfig",
                           "fsmount",
                           "fspick",
                           "mount_setattr",
                           "swapon",
                           "swapoff",
                           "quotactl",
                           "acct",  // file systems
                           "init_module",
                           "finit_module",
                           "delete_module",
                           "kexec_load",
                           "kexec_file_load",
                           "reboot",
                           "bpf",  // the kernel
                           "perf_event_open",
                           "userfaultfd",
                           "io_uring_setup",
                           "iopl",
                           "ioperm",
                           "syslog",
                           "lookup_dcookie",
                           "keyctl",
                           "add_key",
                           "request_key",  // keys
                           "unshare",
                           "setns",
                           "personality",
                           "open_by_handle_at",  // identity
                           "settimeofday",
                           "clock_settime",
                           "clock_settime64",
                           "adjtimex",
                           "clock_adjtime",
                           "sethostname",
                           "setdomainname"})
    deny(name);
  const auto deny_family = [&](int family) {
    // Not SCMP_A0: it is a compound literal, which C++ does not know.
    const scmp_arg_cmp is_family{0, SCMP_CMP_EQ, static_cast<scmp_datum_t>(family), 0};
    ok = ok && seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, &is_family) == 0;
  };
  for (const int family : {AF_PACKET, AF_BLUETOOTH, AF_VSOCK, AF_ALG}) deny_family(family);
  if (!keep.network)
    for (const int family : {AF_INET, AF_INET6}) deny_family(family);
  if (!ok || seccomp_load(filter.get()) != 0) return Error{Status::Internal, "seccomp: the filter was not accepted"};
  return {};
}

}  // namespace mansio::process
