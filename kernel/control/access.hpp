// Who is at the other end of the control socket, and what that allows. The kernel says who (SO_PEERCRED), not the
// client.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace mansio::control {

enum class Access : std::uint8_t {
  Status,  // how the instance is, no addresses
  Full,    // see and change everything
};

struct Client {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // supplementary
};

bool identify(int socket, Client &client);
// Root, the user the instance runs as, and members of its group may change things.
Access access_of(const Client &client, uid_t own_user, gid_t own_group);
std::string describe(const Client &client);  // "uid 1000 (alice), pid 4711", for the log

}  // namespace mansio::control
