// An IP network in CIDR form ("192.0.2.0/24", "[2001:db8::]/32", "::1"), for mynetworks and its like.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mansio::config {

// IPv4 addresses are kept as IPv4-mapped IPv6, so that one comparison serves both.
struct Network {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t bits = 128;

  bool contains(const std::array<std::uint8_t, 16> &other) const;
  bool operator==(const Network &) const = default;
};

std::optional<std::array<std::uint8_t, 16>> parse_ip(std::string_view text);  // "[...]" allowed round IPv6
std::optional<Network> parse_network(std::string_view text);                  // host bits must be zero
std::string to_string(const Network &network);
bool is_ipv4(const std::array<std::uint8_t, 16> &address);                           // mapped into IPv6
Network network_around(const std::array<std::uint8_t, 16> &address, unsigned bits);  // the first `bits`, 128 at most
bool contains(std::span<const Network> networks, std::string_view ip);

}  // namespace mansio::config
