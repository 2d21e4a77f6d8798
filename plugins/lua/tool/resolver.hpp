// The real DNS for the read-eval-print loop, which may wait: one question, one answer, by the system's resolver.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "mansio/testing/fake_host.hpp"

namespace mansio::lua::tool {

// Blocks for as long as /etc/resolv.conf has the resolver try.
mansio::testing::FakeDnsAnswer ask_dns(const std::string &name, std::uint16_t type);

// The records of that type in an answer as it came (RFC 1035).
mansio::testing::FakeDnsAnswer read_answer(const unsigned char *bytes, std::size_t n, std::uint16_t type);

}  // namespace mansio::lua::tool
