#include "kernel/control/access.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/socket.h>

#include <algorithm>

namespace mansio::control {

bool identify(int socket, Client &client) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  client.uid = peer.uid;
  client.gid = peer.gid;
  client.pid = peer.pid;
#ifdef SO_PEERGROUPS
  client.groups.resize(256);
  size = static_cast<socklen_t>(client.groups.size() * sizeof(gid_t));
  const bool known = ::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, client.groups.data(), &size) == 0;
  client.groups.resize(known ? size / sizeof(gid_t) : 0);
#endif
  return true;
}

Access access_of(const Client &client, uid_t own_user, gid_t own_group) {
  if (client.uid == 0 || client.uid == own_user || client.gid == own_group) return Access::Full;
  const bool member = std::find(client.groups.begin(), client.groups.end(), own_group) != client.groups.end();
  return member ? Access::Full : Access::Status;
}

std::string describe(const Client &client) {
  passwd entry{}, *found = nullptr;
  char buffer[4096];
  const bool named = ::getpwuid_r(client.uid, &entry, buffer, sizeof buffer, &found) == 0 && found;
  return fmt::format("uid {} ({}), pid {}", client.uid, named ? found->pw_name : "?", client.pid);
}

}  // namespace mansio::control
