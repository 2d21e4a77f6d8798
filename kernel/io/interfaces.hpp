// The addresses of this host's interfaces: what "[192.0.2.1]" in a recipient and a best MX of its own must be
// recognised by.
#pragma once

#include <string>
#include <vector>

namespace mansio::io {

// "192.0.2.1", "2001:db8::1"; without duplicates. When they cannot be learnt, those of the loopback interface.
std::vector<std::string> interface_addresses();

}  // namespace mansio::io
