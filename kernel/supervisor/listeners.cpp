#include "kernel/supervisor/listeners.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace mansio::supervisor {
namespace {

constexpr int kBacklog = 1024;  // the system cuts it to net.core.somaxconn

struct SocketAddress {
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } a{};
  socklen_t length = sizeof(sockaddr_in6);
};

bool convert(const config::PlanAddress &from, SocketAddress &to) {
  if (from.host.find(':') == std::string::npos) {
    to.a.v4.sin_family = AF_INET;
    to.a.v4.sin_port = htons(from.port);
    to.length = sizeof(sockaddr_in);
    return ::inet_pton(AF_INET, from.host.c_str(), &to.a.v4.sin_addr) == 1;
  }
  to.a.v6.sin6_family = AF_INET6;
  to.a.v6.sin6_port = htons(from.port);
  return ::inet_pton(AF_INET6, from.host.c_str(), &to.a.v6.sin6_addr) == 1;
}

std::string shown(int fd, config::PlanAddress address) {
  SocketAddress bound;
  if (address.port == 0 && ::getsockname(fd, &bound.a.any, &bound.length) == 0)
    address.port = ntohs(bound.a.any.sa_family == AF_INET6 ? bound.a.v6.sin6_port : bound.a.v4.sin_port);
  return to_string(address);
}

}  // namespace

Result<OpenListener> open_listener(const std::string &listener, const config::PlanAddress &address) {
  const auto failed = [&](const char *call) {
    const int error = errno;
    const auto status = error == EADDRINUSE ? Status::Busy : error == EAFNOSUPPORT ? Status::Unsupported : Status::Fail;
    return Error{status,
                 "listener " + listener + " on " + to_string(address) + ": " + call + ": " + std::strerror(error)};
  };
  SocketAddress to;
  if (!convert(address, to))
    return Error{Status::BadConfig, "listener " + listener + ": " + address.host + " is not an IP address"};
  io::UniqueFd fd{::socket(to.a.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return failed("socket");
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (to.a.any.sa_family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), &to.a.any, to.length) != 0) return failed("bind");
  if (::listen(fd.get(), kBacklog) != 0) return failed("listen");
  auto where = shown(fd.get(), address);
  return OpenListener{listener, address, std::move(where), std::move(fd)};
}

Result<void> Listeners::open(const std::vector<config::PlanListener> &plan) {
  std::vector<OpenListener> fresh;
  for (const auto &listener : plan) {
    for (const auto &address : listener.addresses) {
      if (std::any_of(open_.begin(), open_.end(), [&](const auto &o) { return o.address == address; })) continue;
      auto opened = open_listener(listener.name, address);
      if (opened) {
        fresh.push_back(std::move(*opened));
        continue;
      }
      // "*:25" on a host without IPv6 means IPv4 alone.
      const bool half = address.host == "::" && listener.addresses.size() > 1;
      if (!half || opened.error().status != Status::Unsupported) return opened.error();
    }
  }
  for (auto &o : fresh) open_.push_back(std::move(o));
  return {};
}

void Listeners::keep_only(const std::vector<config::PlanListener> &plan) {
  std::erase_if(open_, [&](OpenListener &o) {
    for (const auto &listener : plan)
      for (const auto &address : listener.addresses)
        if (address == o.address) {
          o.listener = listener.name;  // an address may have moved to another table
          return false;
        }
    return true;
  });
}

}  // namespace mansio::supervisor
