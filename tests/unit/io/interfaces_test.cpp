// The addresses of this host's interfaces, by which mail that loops is known.
#include "kernel/io/interfaces.hpp"

#include <gmock/gmock.h>

namespace mansio::io {
namespace {

TEST(InterfaceAddresses, IncludeLoopback) { EXPECT_THAT(interface_addresses(), ::testing::Contains("127.0.0.1")); }

}  // namespace
}  // namespace mansio::io
