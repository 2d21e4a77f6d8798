#include "plugins/lookup-common/deadline.hpp"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>

namespace mansio::lookup {
namespace {

std::string reason(int error) { return std::system_category().message(error); }

Socket connect_to(int family, const sockaddr *address, socklen_t length, Deadline deadline, std::string &why) {
  Socket s{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!s) return why = reason(errno), Socket{};
  if (::connect(s.fd(), address, length) == 0) return s;
  // EAGAIN is a UNIX socket whose backlog is full: there is nothing to wait for.
  if (errno != EINPROGRESS) return why = reason(errno), Socket{};
  if (!wait_for(s.fd(), POLLOUT, deadline)) return why = reason(ETIMEDOUT), Socket{};
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(s.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return why = reason(error), Socket{};
  return s;
}

}  // namespace

bool wait_for(int fd, short events, Deadline deadline) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd p{fd, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return true;  // the call that follows says what is wrong
  }
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}
Socket::Socket(Socket &&other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
Socket &Socket::operator=(Socket &&other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket Socket::connect(const Endpoint &to, Deadline deadline, std::string &why) {
  Socket s;
  if (to.local()) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, to.path.data(), std::min(to.path.size(), sizeof address.sun_path - 1));
    s = connect_to(AF_UNIX, reinterpret_cast<const sockaddr *>(&address), sizeof address, deadline, why);
  } else {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    const int error = ::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &found);
    const std::unique_ptr<addrinfo, void (*)(addrinfo *)> all{found, [](addrinfo *a) {
                                                                if (a) ::freeaddrinfo(a);
                                                              }};
    if (error != 0) why = ::gai_strerror(error);
    for (const auto *a = all.get(); a && !s; a = a->ai_next)
      s = connect_to(a->ai_family, a->ai_addr, a->ai_addrlen, deadline, why);
  }
  if (!s) why = to.name() + ": " + why;
  return s;
}

bool Socket::write(std::string_view bytes, Deadline deadline, std::string &why) const {
  while (!bytes.empty()) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(fd_, POLLOUT, deadline)) return why = "the server does not read", false;
    } else if (errno != EINTR) {
      return why = reason(errno), false;
    }
  }
  return true;
}

bool Socket::read(std::string &to, Deadline deadline, std::string &why) const {
  char buffer[16384];
  for (;;) {
    const auto n = ::recv(fd_, buffer, sizeof buffer, 0);
    if (n > 0) return to.append(buffer, static_cast<std::size_t>(n)), true;
    if (n == 0) return why = "the server closed the connection", false;
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(fd_, POLLIN, deadline)) return why = "no answer in time", false;
    } else if (errno != EINTR) {
      return why = reason(errno), false;
    }
  }
}

}  // namespace mansio::lookup
