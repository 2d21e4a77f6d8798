#include "plugins/testing/readme.hpp"

#include <gtest/gtest.h>

#include "plugins/transport-smtp/client/transport.hpp"

namespace mansio::smtp::test {
namespace {

TEST(TransportSmtpReadme, HasTheOptionsAndExamplesThatWork) {
  const auto *plugin = plugin::Glue<SmtpTransport, plugin::TransportKind>::entry();
  mansio::testing::expect_options_in_readme(plugin);
  mansio::testing::expect_example_in_readme(plugin);
}

}  // namespace
}  // namespace mansio::smtp::test
