#include "plugins/lua/lib/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "plugins/lua/lib/hex.hpp"

namespace mansio::lua {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  const std::string copy{text};
  if (copy.find('\0') != copy.npos) return std::nullopt;
  IpAddress address;
  if (::inet_pton(AF_INET, copy.c_str(), address.octets.data()) == 1) return address;
  address.six = true;
  if (::inet_pton(AF_INET6, copy.c_str(), address.octets.data()) != 1) return std::nullopt;
  static constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), address.octets.begin())) {
    IpAddress four;
    std::copy_n(address.octets.begin() + 12, 4, four.octets.begin());
    return four;
  }
  return address;
}

std::string IpAddress::text() const {
  char out[INET6_ADDRSTRLEN]{};
  ::inet_ntop(six ? AF_INET6 : AF_INET, octets.data(), out, sizeof out);
  return out;
}

std::string IpAddress::reversed() const {
  std::string out;
  if (!six) {
    for (int i = 3; i >= 0; --i)
      out += std::to_string(octets[static_cast<std::size_t>(i)]) + (i > 0 ? "." : "");
    return out;
  }
  const auto digits = hex({reinterpret_cast<const char *>(octets.data()), octets.size()});
  for (auto i = digits.rbegin(); i != digits.rend(); ++i) {
    if (!out.empty()) out += '.';
    out += *i;
  }
  return out;
}

bool NetworkSet::add(std::string_view network) {
  const auto slash = network.find('/');
  const auto address = IpAddress::parse(network.substr(0, slash));
  if (!address) return false;
  const unsigned most = address->six ? 128 : 32;
  unsigned bits = most;
  if (slash != network.npos) {
    const auto text = network.substr(slash + 1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits);
    if (error != std::errc{} || end != text.data() + text.size() || bits > most) return false;
  }
  networks_.push_back({*address, bits});
  return true;
}

bool NetworkSet::contains(const IpAddress &address) const {
  return std::any_of(networks_.begin(), networks_.end(), [&](const Network &n) {
    if (n.address.six != address.six) return false;
    const auto whole = n.bits / 8, rest = n.bits % 8;
    if (std::memcmp(n.address.octets.data(), address.octets.data(), whole) != 0) return false;
    return rest == 0 || (n.address.octets[whole] ^ address.octets[whole]) >> (8 - rest) == 0;
  });
}

}  // namespace mansio::lua
