// The addresses of this host's interfaces: what a transport that finds itself the best MX must recognise.
#pragma once

#include <string>
#include <vector>

namespace mansio::egress {

std::vector<std::string> interface_addresses();  // "192.0.2.1", "2001:db8::1"; without duplicates

}  // namespace mansio::egress
