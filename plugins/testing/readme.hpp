// A plugin's README has the table of its options as the plugin declares them, and an example that works.
#pragma once

#include "mansio/abi.h"

namespace mansio::testing {

// When they differ, the failure prints the table to put there.
void expect_options_in_readme(const mansio_plugin *plugin);

// Each [lookup.NAME], [transport.NAME], [filter.NAME], [policy.NAME], [event.NAME], [rate.NAME], [auth.NAME] and
// [store.NAME] of the README's examples that names the plugin passes the plugin's check, but for files that are not
// there.
void expect_example_in_readme(const mansio_plugin *plugin);

}  // namespace mansio::testing
