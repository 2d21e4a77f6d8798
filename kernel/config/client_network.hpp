// Which addresses are one client, for limits for one client: an IPv6 host has as many as it likes. Postfix's
// smtpd_client_ipv4_prefix_length and smtpd_client_ipv6_prefix_length.
#pragma once

#include <array>
#include <cstdint>

#include "kernel/config/network.hpp"
#include "kernel/config/settings.hpp"

namespace mansio::config {

// By a listener's options.
inline Network client_network(const Smtpd &smtpd, const std::array<std::uint8_t, 16> &address) {
  return network_around(address,
                        is_ipv4(address) ? 96 + smtpd.client_ipv4_prefix_length : smtpd.client_ipv6_prefix_length);
}

}  // namespace mansio::config
