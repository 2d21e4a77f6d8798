// Reads a configuration file and what it includes into one tree.
//
// `include = ["conf.d/*.toml"]` stands at the top of a file, patterns relative to it; the included text counts as
// written there, so routes of included files come before the including file's own. Tables of the same name
// are merged; the same option in two files is a problem that names both places, never a silent winner.
#pragma once

#include <string>

#include "kernel/config/parse.hpp"
#include "kernel/config/problems.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::config {

TomlTable load_with_includes(const std::string &path, Files &files, Problems &problems);

// `path` as written in `file`: relative ones are relative to that file's directory. Always absolute.
std::string resolve_path(const std::string &path, const std::string &file);

}  // namespace mansio::config
