// `mansio plugin call`: a command of a plugin instance, in every process that has the instance.
#pragma once

#include <string>
#include <vector>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

struct PluginCallOrder {
  std::string instance, command;  // "filter.quarantine", "release"
  std::vector<std::string> arguments;
};

// Prints what each process answers: its text, and a line for each value; with the process's name before it where
// several have the instance. Status 1: nobody has it, or one of them failed.
int plugin_call_main(const Where &where, const PluginCallOrder &order);

}  // namespace mansio::cli
