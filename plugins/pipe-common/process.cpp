#include "plugins/pipe-common/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

namespace mansio::pipe {
namespace {

enum class Step { Root, Account, Directory, Descriptors, Execute };
struct Failure {
  Step step;
  int error;
};

struct Pipe {
  Fd read, write;
  bool open() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read = Fd{ends[0]};
    write = Fd{ends[1]};
    return true;
  }
};

std::vector<char *> pointers(const std::vector<std::string> &texts) {
  std::vector<char *> out;
  out.reserve(texts.size() + 1);
  for (const auto &text : texts) out.push_back(const_cast<char *>(text.c_str()));  // execve() writes to none
  out.push_back(nullptr);
  return out;
}

// ---- in the child: system calls only, for the parent may have threads ----------------------------------------------

bool become(const Account &account) {
  return ::setgroups(1, &account.gid) == 0 && ::setresgid(account.gid, account.gid, account.gid) == 0 &&
         ::setresuid(account.uid, account.uid, account.uid) == 0;
}

void default_signals() {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &action, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// The first descriptors become input, output and errors of the program, and `report` the fourth. They are copied
// upwards first, for one may stand where another is to go.
bool place_descriptors(int input, int output, int errors, int &report) {
  constexpr int kAbove = 10;
  input = ::fcntl(input, F_DUPFD, kAbove);
  output = ::fcntl(output, F_DUPFD, kAbove);
  errors = ::fcntl(errors, F_DUPFD, kAbove);
  report = ::fcntl(report, F_DUPFD_CLOEXEC, kAbove);
  if (input < 0 || output < 0 || errors < 0 || report < 0) return false;
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(errors, 2) < 0) return false;
  if (::dup3(report, 3, O_CLOEXEC) < 0) return false;
  report = 3;
  return ::close_range(4, UINT_MAX, 0) == 0;
}

[[noreturn]] void fail(int report, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const auto n = ::write(report, &failure, sizeof failure);
  ::_exit(127);
}

[[noreturn]] void run(const Program &program, char *const *argv, char *const *environment, pid_t parent, int input,
                      int output, int errors, int report) {
  ::setpgid(0, 0);
  default_signals();
  if (!place_descriptors(input, output, errors, report)) fail(report, Step::Descriptors);
  if (!program.root.empty() && (::chroot(program.root.c_str()) != 0 || ::chdir("/") != 0)) fail(report, Step::Root);
  if (program.account && !become(*program.account)) fail(report, Step::Account);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of user, which clears it
  if (::getppid() != parent) ::_exit(127);
  if (::chdir(program.directory.c_str()) != 0) fail(report, Step::Directory);
  ::umask(077);
  ::execve(argv[0], argv, environment);
  fail(report, Step::Execute);
}

// ---- in the parent -------------------------------------------------------------------------------------------------

std::string explain(const Program &program, const Failure &failure) {
  const std::string error = std::strerror(failure.error);
  switch (failure.step) {
    case Step::Root:
      return "cannot change the root directory to " + program.root + ": " + error;
    case Step::Account:
      return "cannot become user " + std::to_string(program.account->uid) + ": " + error;
    case Step::Directory:
      return "cannot enter " + program.directory + ": " + error;
    case Step::Descriptors:
      return "cannot pass descriptors: " + error;
    case Step::Execute:
      break;
  }
  return "cannot run " + program.argv.front() + ": " + error;
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
}

}  // namespace

void Fd::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::optional<Process> start(const Program &program, std::string &why) {
  const auto failed = [&](const char *what) {
    why = std::string{"cannot start a command: "} + what + ": " + std::strerror(errno);
    return std::nullopt;
  };
  Pipe input, output, errors, report;
  if (!input.open() || !output.open() || !report.open() || (program.errors_apart && !errors.open()))
    return failed("pipe");
  const auto argv = pointers(program.argv), environment = pointers(program.environment);
  const auto parent = ::getpid();
  Process process;
  process.pid = ::fork();
  if (process.pid < 0) return failed("fork");
  if (process.pid == 0)
    run(program, argv.data(), environment.data(), parent, input.read.get(), output.write.get(),
        (errors.write ? errors : output).write.get(), report.write.get());

  ::setpgid(process.pid, process.pid);  // here too: whoever comes first
  report.write.close();
  Failure failure{};
  ssize_t n = 0;
  while ((n = ::read(report.read.get(), &failure, sizeof failure)) < 0 && errno == EINTR) continue;
  if (n != 0) {
    reap(process.pid);
    why = n == sizeof failure ? explain(program, failure) : "cannot start a command";
    return std::nullopt;
  }
  process.ended = Fd{static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0))};
  process.input = std::move(input.write);
  process.output = std::move(output.read);
  process.errors = std::move(errors.read);
  const auto unblock = [](const Fd &fd) { return !fd || ::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0; };
  if (!process.ended || !unblock(process.input) || !unblock(process.output) || !unblock(process.errors)) {
    failed("pidfd");
    ::kill(-process.pid, SIGKILL);
    reap(process.pid);
    return std::nullopt;
  }
  return process;
}

}  // namespace mansio::pipe
