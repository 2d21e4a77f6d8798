// From the tree to Settings, by the option tables: names, types and ranges. What depends on more than one option
// is crosscheck.hpp's.
#pragma once

#include <map>
#include <string>

#include "kernel/config/parse.hpp"
#include "kernel/config/problems.hpp"
#include "kernel/config/settings.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::config {

// Where each option stands, by its dotted key.
using Places = std::map<std::string, TomlPlace, std::less<>>;

enum class Source : std::uint8_t { File, Snapshot };

Settings read_settings(const TomlTable &root, Source source, Files &files, Problems &problems, Places &places);

Settings default_settings();  // what holds when a file says nothing: some of it is asked from the system

}  // namespace mansio::config
