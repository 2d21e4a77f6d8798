// IP addresses and sets of networks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

struct IpAddress {
  std::array<std::uint8_t, 16> octets{};  // an IPv4 address in the first four
  bool six = false;

  static std::optional<IpAddress> parse(std::string_view text);
  std::string text() const;
  // "2.0.0.127" for 127.0.0.2, nibbles for IPv6: what a list in the DNS is asked.
  std::string reversed() const;
};

class NetworkSet {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or an address alone; false: it is none.
  bool add(std::string_view network);
  bool contains(const IpAddress &address) const;
  std::size_t size() const { return networks_.size(); }

 private:
  struct Network {
    IpAddress address;
    unsigned bits;
  };
  std::vector<Network> networks_;
};

}  // namespace mansio::lua
