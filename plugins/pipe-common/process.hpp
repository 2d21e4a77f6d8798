// Process: a program started with a pipe to its input, one or two from its outputs, and nothing else of ours: no
// descriptor, no environment, no signal setting. It leads a process group of its own, so that what it starts can be
// ended with it, and dies when the thread that started it does, so that no command of what is tried again runs on.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plugins/pipe-common/account.hpp"

namespace mansio::pipe {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd &operator=(Fd &&other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { close(); }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close();

 private:
  int fd_ = -1;
};

struct Program {
  std::vector<std::string> argv;  // the first is the path
  std::vector<std::string> environment;
  std::string root;                // to be its root directory; empty: the process's own
  std::string directory;           // below that
  std::optional<Account> account;  // to become before
  bool errors_apart = false;       // by a pipe of their own, not with its output
};

struct Process {
  pid_t pid = -1;
  Fd input, output;  // ours: to write to and to read from, non-blocking
  Fd errors;         // the same, where they are apart
  Fd ended;          // readable when it has ended (pidfd)
};

// From any thread. Waits until the program runs. Otherwise nothing of it is left, and `why` says what failed.
std::optional<Process> start(const Program &program, std::string &why);

}  // namespace mansio::pipe
