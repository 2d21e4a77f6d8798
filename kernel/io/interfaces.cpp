#include "kernel/io/interfaces.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>

namespace mansio::io {

std::vector<std::string> interface_addresses() {
  std::vector<std::string> all;
  ifaddrs *list = nullptr;
  if (::getifaddrs(&list) != 0) return {"127.0.0.1", "::1"};
  for (const auto *i = list; i; i = i->ifa_next) {
    if (!i->ifa_addr) continue;
    const int family = i->ifa_addr->sa_family;
    char text[INET6_ADDRSTRLEN];
    const void *address =
        family == AF_INET ? static_cast<const void *>(&reinterpret_cast<const sockaddr_in *>(i->ifa_addr)->sin_addr)
        : family == AF_INET6
            ? static_cast<const void *>(&reinterpret_cast<const sockaddr_in6 *>(i->ifa_addr)->sin6_addr)
            : nullptr;
    if (address && ::inet_ntop(family, address, text, sizeof text)) all.emplace_back(text);
  }
  ::freeifaddrs(list);
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

}  // namespace mansio::io
