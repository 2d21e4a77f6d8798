// The README's table and example are those of the plugin.
#include "plugins/testing/readme.hpp"

#include <gtest/gtest.h>

TEST(Readme, HasTheOptionsAndAnExample) {
  mansio::testing::expect_options_in_readme(mansio_plugin_entry_1());
  mansio::testing::expect_example_in_readme(mansio_plugin_entry_1());
}
