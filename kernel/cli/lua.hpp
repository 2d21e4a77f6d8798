// `mansio lua ...`: for those who write scripts.
#pragma once

#include <string>
#include <vector>

namespace mansio::cli {

// Loads each script as Mansio would, without starting anything, and says what is wrong with it. Status 1 if there is
// anything. The plugin is that of the configuration's plugin_dir, or of where this Mansio is installed.
struct LuaCheck {
  std::string config;
  std::vector<std::string> scripts;
  std::vector<std::string> allow;     // libraries, as the option of that name
  std::vector<std::string> settings;  // NAME=VALUE, of the script's own
};
int lua_check_main(const LuaCheck &order);

// As the option `secrets` has them, in which values may have any character of a line.
std::string lines_of_settings(const std::vector<std::string> &settings);

// `mansio lua test`, `repl` and `mansio replay`: ends in the program lua-tool, which lies beside the folder of the
// plugins that this Mansio is installed with, and has the engine in it. `words` are its arguments. Returns 1 when it
// cannot be run.
int lua_tool_main(const std::vector<std::string> &words);

}  // namespace mansio::cli
