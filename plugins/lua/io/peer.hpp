// Where a server is, as scripts write it: "host:port", "[2001:db8::1]:port", "unix:/path".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio::lua {

struct Peer {
  std::string path;  // of a UNIX socket; "": TCP
  std::string host;  // a name or an address, without brackets
  std::uint16_t port = 0;

  bool local() const { return !path.empty(); }
  std::string text() const;

  // Nothing for what is none. Without a port `port` is taken; 0: it has to be there.
  static std::optional<Peer> parse(std::string_view text, std::uint16_t port = 0);

  auto operator<=>(const Peer &) const = default;
};

}  // namespace mansio::lua
