// Waiting for descriptors with a limit, for clients whose library has none or who have no library. Any thread.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "plugins/lookup-common/endpoint.hpp"

namespace mansio::lookup {

using Deadline = std::chrono::steady_clock::time_point;

// Waits until poll(2) reports one of `events` or an error. False: the deadline has passed.
bool wait_for(int fd, short events, Deadline deadline);

// A descriptor that is closed with its owner.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket();
  Socket(Socket &&other) noexcept;
  Socket &operator=(Socket &&other) noexcept;

  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  // The descriptor, non-blocking; without one, `why`. Tries each address of the host.
  static Socket connect(const Endpoint &to, Deadline deadline, std::string &why);
  // All of it; false, and `why`, when the peer is gone or the deadline has passed.
  bool write(std::string_view bytes, Deadline deadline, std::string &why) const;
  // Appends what there is, at least a byte.
  bool read(std::string &to, Deadline deadline, std::string &why) const;

 private:
  int fd_ = -1;
};

}  // namespace mansio::lookup
