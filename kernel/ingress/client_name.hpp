// The client's name: what PTR says, if that name's A or AAAA records lead back to the address; else "unknown".
#pragma once

#include <string>
#include <string_view>

#include "kernel/base/clock.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/dns.hpp"

namespace mansio::ingress {

// Returns within `timeout`. Loopback is "localhost" without a question (RFC 6303 keeps its zones local).
Task<std::string> confirmed_name(asio::io_context &loop, io::Dns &dns, std::string address, Nanos timeout);

}  // namespace mansio::ingress
