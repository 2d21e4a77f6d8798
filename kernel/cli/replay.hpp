// `mansio replay`: recorded sessions, shown to scripts. It finds out which, and ends in lua-tool, which has the engine.
#pragma once

#include <string>
#include <vector>

namespace mansio::cli {

struct ReplayCommand {
  std::string config;                 // whose scripts are the candidates, unless `script` is one
  std::string script, as;             // and whose place it takes; "" for the only script that was recorded
  std::vector<std::string> options;   // NAME=VALUE, of `script`
  std::vector<std::string> settings;  // the same, that it sees itself
  std::vector<std::string> allow;     // libraries
  std::vector<std::string> sessions, recordings;
  bool dns = false, json = false;
};

// Status 0 when nothing differs, 1 when anything does, 2 when it could not be tried.
int replay_main(const ReplayCommand &order);

}  // namespace mansio::cli
