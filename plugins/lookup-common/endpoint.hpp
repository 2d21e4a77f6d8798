// Names of servers as Postfix's tables write them: "unix:/path" and "/path" for a socket in the file system,
// "inet:host:port", "host:port", "host", "[2001:db8::1]:port" for TCP.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lookup {

struct Endpoint {
  std::string path;  // of a UNIX socket; "": TCP
  std::string host;
  std::uint16_t port = 0;

  bool local() const { return !path.empty(); }
  std::string name() const;  // for messages
};

// Throws BadConfig that names `option`. `default_port` 0: the port must be given.
Endpoint parse_endpoint(const char *option, std::string_view text, std::uint16_t default_port);
std::vector<Endpoint> parse_endpoints(const char *option, const std::vector<std::string> &texts,
                                      std::uint16_t default_port);

}  // namespace mansio::lookup
