// What tests against real servers share: a directory of their own, free ports, programs that end with the test.
// Waiting is always for an event, with a generous limit that fails the test.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace mansio::lookup::rig {

inline std::string read_file(const std::filesystem::path &path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
inline void write_file(const std::filesystem::path &path, std::string_view text) {
  std::ofstream out{path, std::ios::binary | std::ios::trunc};
  out << text;
  if (!out.flush()) throw std::runtime_error{"cannot write " + path.string()};
}

// Whom a server runs as: some refuse to run as root.
struct Account {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();

  static Account of(const char *name) {
    if (::geteuid() != 0) return {};
    const auto *entry = ::getpwnam(name);
    if (!entry) throw std::runtime_error{std::string{"no such account: "} + name};
    return {entry->pw_uid, entry->pw_gid};
  }
};

// Removed with all that is in it. Every user may enter it, and the account may write.
class Directory {
 public:
  explicit Directory(const Account &owner = {}) {
    std::string name = std::filesystem::temp_directory_path() / "mansio-lookup-XXXXXX";
    if (!::mkdtemp(name.data())) throw std::runtime_error{"mkdtemp"};
    path_ = name;
    ::chmod(name.c_str(), 0755);
    if (::chown(name.c_str(), owner.uid, owner.gid) != 0) throw std::runtime_error{"chown"};
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Directory(const Directory &) = delete;
  Directory &operator=(const Directory &) = delete;
  std::string operator/(std::string_view name) const { return path_ / name; }
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Below the range from which the system takes ports for clients. No other test that runs now is given it: an abstract
// name, which stays until this process ends, says that it is ours (tests/system/rig.py does the same).
inline std::uint16_t free_port() {
  for (unsigned i = 0; i < 1000; ++i) {
    const auto port = static_cast<std::uint16_t>(10000 + std::random_device{}() % 22000);
    const auto name = "mansio-test-port-" + std::to_string(port);
    sockaddr_un ours{};
    ours.sun_family = AF_UNIX;
    std::memcpy(ours.sun_path + 1, name.data(), name.size());
    const int mark = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    bool free = ::bind(mark, reinterpret_cast<const sockaddr *>(&ours), length) == 0;
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    free = free && ::bind(fd, reinterpret_cast<const sockaddr *>(&a), sizeof a) == 0;
    ::close(fd);
    if (free) return port;
    ::close(mark);
  }
  throw std::runtime_error{"no free port"};
}

constexpr std::chrono::seconds kLimit{120};

// A program; what it says goes into `log`. It dies with this process, or with this object.
class Program {
 public:
  Program(std::vector<std::string> argv, std::string log, Account account = {}) : log_(std::move(log)) {
    std::vector<char *> raw;
    for (auto &a : argv) raw.push_back(a.data());
    raw.push_back(nullptr);
    const int out = ::open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::signal(SIGPIPE, SIG_IGN);  // as every process of the host does: some client libraries count on it
    pid_ = ::fork();
    if (pid_ == 0) {
      ::signal(SIGPIPE, SIG_DFL);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::geteuid() == 0 && account.uid != 0 &&
          (::setgroups(0, nullptr) != 0 || ::setgid(account.gid) != 0 || ::setuid(account.uid) != 0))
        ::_exit(126);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // setuid() clears it
      ::dup2(in, 0);
      ::dup2(out, 1);
      ::dup2(out, 2);
      if (::chdir("/") == 0) ::execvp(raw[0], raw.data());
      ::_exit(127);
    }
    ::close(out);
    ::close(in);
    if (pid_ < 0) throw std::runtime_error{"fork"};
    name_ = argv.front();
  }
  ~Program() { stop(); }
  Program(const Program &) = delete;
  Program &operator=(const Program &) = delete;

  // Polls until ready() is true.
  void wait_until(const std::function<bool()> &ready) {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (!ready()) {
      if (ended()) throw std::runtime_error{name_ + " ended: " + read_file(log_)};
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error{name_ + " is not ready: " + read_file(log_)};
      std::this_thread::sleep_for(std::chrono::milliseconds{10});
    }
  }
  int wait() {
    int status = 0;
    while (pid_ > 0 && ::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  void stop(int signal = SIGTERM) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (!ended() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  void freeze() const {
    ::kill(pid_, SIGSTOP);
    // Until each of its threads has stopped: before, one could still answer.
    for (int status = 0; ::waitpid(pid_, &status, WUNTRACED) < 0 && errno == EINTR;) {
    }
  }
  void thaw() const { ::kill(pid_, SIGCONT); }

 private:
  bool ended() {
    int status = 0;
    if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == 0) return false;
    pid_ = -1;
    return true;
  }

  std::string name_, log_;
  pid_t pid_ = -1;
};

// Runs a program to its end; throws with what it said when it fails.
inline void run(const std::vector<std::string> &argv, const std::string &log, Account account = {}) {
  Program program{argv, log, account};
  if (const int status = program.wait(); status != 0)
    throw std::runtime_error{argv.front() + " ended with " + std::to_string(status) + ": " + read_file(log)};
}

// directory/cert.pem, made out for 127.0.0.1 and localhost and signed by itself, and directory/key.pem.
inline void certificate(const std::string &directory, Account account = {}) {
  run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
       "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout",
       directory + "/key.pem", "-out", directory + "/cert.pem"},
      directory + "/openssl.log", account);
}

inline bool accepts(std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(port);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool up = ::connect(fd, reinterpret_cast<const sockaddr *>(&a), sizeof a) == 0;
  ::close(fd);
  return up;
}

// A UNIX socket is there before its server listens.
inline bool accepts(const std::string &path) {
  sockaddr_un a{};
  a.sun_family = AF_UNIX;
  if (path.size() >= sizeof a.sun_path) throw std::runtime_error{path + " is too long for a socket"};
  path.copy(a.sun_path, path.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool up = ::connect(fd, reinterpret_cast<const sockaddr *>(&a), sizeof a) == 0;
  ::close(fd);
  return up;
}

}  // namespace mansio::lookup::rig
