// `mansio lua repl`: reads a piece of Lua, runs it in the sandbox of scripts, shows what it returned, and again.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace mansio::lua::tool {

struct ReplOrder {
  bool dns = false;                   // mansio.dns asks the real one
  std::vector<std::string> allow;     // libraries, as the option of that name
  std::vector<std::string> settings;  // NAME=VALUE, for mansio.config
};

// Until the input ends. Prompts are for people: `prompt` is whether one is there. Status 1 when there is none and a
// piece failed. Throws a std::exception when it cannot begin.
int repl(const ReplOrder &order, std::FILE *in, std::FILE *out, bool prompt);

}  // namespace mansio::lua::tool
