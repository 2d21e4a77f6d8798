// `mansio plugin ...`: what plugins there are, and whether a file is a good one.
#pragma once

#include <string>

namespace mansio::cli {

// Every plugin of the directory: name, version, kinds, ABI, what it needs, where it stands; files that cannot be loaded
// with the reason, each looked at in a process of its own. Status 1 if there is any of these.
int plugin_list_main(const std::string &config, const std::string &directory);

}  // namespace mansio::cli
