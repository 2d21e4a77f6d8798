// lua-tool: what `mansio lua test`, `mansio lua repl` and `mansio replay` run. It is a program of its own because it
// has the engine in it, and mansio has none: there, Lua is a plugin.
//   lua-tool test [--only TEXT] [--update] PATH...
//   lua-tool repl [--dns] [--allow LIBRARY]... [--setting NAME=VALUE]...
//   lua-tool replay [--dns] [--json] [--session ID]... CANDIDATE... RECORDING...
//     CANDIDATE: --candidate NAME [--listener NAME]... [--option NAME=VALUE]... [--option-file NAME=PATH]...
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "plugins/lua/tool/repl.hpp"
#include "plugins/lua/tool/replay.hpp"
#include "plugins/lua/tool/test_run.hpp"

namespace {

using namespace mansio::lua::tool;

// The arguments are mansio's own, which has checked them.
int usage() {
  std::fprintf(stderr, "usage: mansio lua test|repl ... or mansio replay ...; see --help of either\n");
  return 64;
}

int test_main(int argc, char **argv) {
  TestOrder order;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word{argv[i]};
    if (word == "--update")
      order.update = true;
    else if (word == "--only" && i + 1 < argc)
      order.only = argv[++i];
    else
      order.paths.emplace_back(word);
  }
  ::setenv("TZ", "UTC", 1);  // os.date() says the same everywhere
  return order.paths.empty() ? usage() : run_tests(order, stdout);
}

int repl_main(int argc, char **argv) {
  ReplOrder order;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word{argv[i]};
    if (word == "--dns")
      order.dns = true;
    else if (word == "--allow" && i + 1 < argc)
      order.allow.emplace_back(argv[++i]);
    else if (word == "--setting" && i + 1 < argc)
      order.settings.emplace_back(argv[++i]);
    else
      return usage();
  }
  return repl(order, stdin, stdout, ::isatty(STDIN_FILENO) != 0);
}

int replay_main(int argc, char **argv) {
  ReplayOrder order;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word{argv[i]};
    if (word == "--dns") {
      order.dns = true;
    } else if (word == "--json") {
      order.json = true;
    } else if (!word.starts_with("--")) {
      order.recordings.emplace_back(word);
    } else if (i + 1 == argc) {
      return usage();
    } else if (const std::string value{argv[++i]}; word == "--session") {
      order.sessions.insert(value);
    } else if (word == "--candidate") {
      order.candidates.push_back({value, {}, {}});
    } else if (order.candidates.empty()) {
      return usage();
    } else if (word == "--listener") {
      order.candidates.back().listeners.insert(value);
    } else if (const auto equals = value.find('='); word == "--option" && equals != value.npos) {
      order.candidates.back().options[value.substr(0, equals)] = value.substr(equals + 1);
    } else if (word == "--option-file" && equals != value.npos) {
      std::ifstream in{value.substr(equals + 1), std::ios::binary};
      order.candidates.back().options[value.substr(0, equals)] = std::string{std::istreambuf_iterator<char>{in}, {}};
    } else {
      return usage();
    }
  }
  return order.recordings.empty() || order.candidates.empty() ? usage() : replay(order, stdout, stderr);
}

}  // namespace

int main(int argc, char **argv) {
  try {
    const std::string_view verb{argc > 1 ? argv[1] : ""};
    if (verb == "test") return test_main(argc - 2, argv + 2);
    if (verb == "repl") return repl_main(argc - 2, argv + 2);
    if (verb == "replay") return replay_main(argc - 2, argv + 2);
    return usage();
  } catch (const std::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
