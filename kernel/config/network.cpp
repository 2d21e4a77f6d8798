#include "kernel/config/network.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace mansio::config {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped(const std::array<std::uint8_t, 16> &address) {
  return std::equal(kMapped.begin(), kMapped.end(), address.begin());
}

std::array<std::uint8_t, 16> masked(std::array<std::uint8_t, 16> address, unsigned bits) {
  for (unsigned i = 0; i < 16; ++i) {
    const unsigned kept = bits >= 8 * (i + 1) ? 8 : bits <= 8 * i ? 0 : bits - 8 * i;
    address[i] = static_cast<std::uint8_t>(address[i] & (0xff00u >> kept));
  }
  return address;
}

}  // namespace

bool Network::contains(const std::array<std::uint8_t, 16> &other) const {
  // A prefix shorter than the mapping is an IPv6 network: "::/0" says nothing about IPv4 clients.
  if (bits < 96 && is_mapped(other)) return false;
  return masked(other, bits) == masked(address, bits);
}

std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text) {
  const bool bracketed = text.size() >= 2 && text.front() == '[' && text.back() == ']';
  if (bracketed) text = text.substr(1, text.size() - 2);
  char buffer[INET6_ADDRSTRLEN];
  if (text.empty() || text.size() >= sizeof buffer || text.find('\0') != text.npos) return std::nullopt;
  *std::copy(text.begin(), text.end(), buffer) = '\0';

  std::array<std::uint8_t, 16> address{};
  if (text.find(':') != text.npos) {
    if (::inet_pton(AF_INET6, buffer, address.data()) == 1) return address;
    return std::nullopt;
  }
  std::copy(kMapped.begin(), kMapped.end(), address.begin());
  if (!bracketed && ::inet_pton(AF_INET, buffer, address.data() + 12) == 1) return address;
  return std::nullopt;
}

std::optional<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  const auto host = text.substr(0, slash);
  const auto address = parse_ip(host);
  if (!address) return std::nullopt;
  const bool v4 = host.find(':') == host.npos;
  unsigned bits = v4 ? 32 : 128;
  if (slash != text.npos) {
    const auto digits = text.substr(slash + 1);
    unsigned given = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), given);
    if (error != std::errc{} || end != digits.data() + digits.size() || given > bits) return std::nullopt;
    if (digits.size() > 1 && digits.front() == '0') return std::nullopt;
    bits = given;
  }
  if (v4) bits += 96;
  if (masked(*address, bits) != *address) return std::nullopt;
  return Network{*address, static_cast<std::uint8_t>(bits)};
}

std::string to_string(const Network &network) {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (network.bits >= 96 && is_mapped(network.address)) {
    ::inet_ntop(AF_INET, network.address.data() + 12, buffer, sizeof buffer);
    return std::string{buffer} + '/' + std::to_string(network.bits - 96);
  }
  ::inet_ntop(AF_INET6, network.address.data(), buffer, sizeof buffer);
  return '[' + std::string{buffer} + "]/" + std::to_string(network.bits);
}

bool is_ipv4(const std::array<std::uint8_t, 16> &address) { return is_mapped(address); }

Network network_around(const std::array<std::uint8_t, 16> &address, unsigned bits) {
  return {masked(address, bits), static_cast<std::uint8_t>(std::min(bits, 128u))};
}

bool contains(std::span<const Network> networks, std::string_view ip) {
  const auto address = parse_ip(ip);
  return address &&
         std::any_of(networks.begin(), networks.end(), [&](const Network &n) { return n.contains(*address); });
}

}  // namespace mansio::config
