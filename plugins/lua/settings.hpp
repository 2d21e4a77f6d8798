// The options of an instance, as check() and the constructor read them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/config.hpp"

namespace mansio::lua {

// What the configuration sets for the script: NAME=VALUE of `settings` or `secrets`.
struct Setting {
  std::string name, value;
  bool secret;  // is shown nowhere
};

struct Settings {
  std::string path;  // of the script
  std::string text;  // read once: all states run the same, until a reload
  std::uint64_t instructions = 0;
  std::size_t call_memory = 0, state_memory = 0;
  std::int64_t run_time = 0, time_limit = 0;  // ns; time_limit 0: the host's deadline alone
  std::size_t states = 1;
  std::uint64_t state_uses = 0;    // 0: no limit
  std::int64_t state_age = 0;      // ns; 0: no limit
  std::vector<std::string> allow;  // of kLibraries
  bool allows(std::string_view library) const;
  std::string state_directory;  // "": it has none
  std::string kind, instance;   // of [lookup.users] "lookup" and "users"; kind "": nobody says
  std::vector<Setting> own;     // of a list one for each element
};

extern const mansio_option kOptions[14];

// The text of a file as Lua's own loader has it: a byte order mark, and a first line that begins with "#" for the
// system, say nothing.
std::string without_heading(std::string text);

// Letters, digits and _, and no digit first.
bool is_setting_name(std::string_view name);

// Throws BadConfig, after it has reported all that is wrong.
Settings read_settings(const plugin::Config &config);

}  // namespace mansio::lua
