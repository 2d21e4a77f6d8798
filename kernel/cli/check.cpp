#include "kernel/cli/check.hpp"

#include <unistd.h>

#include <cstdio>

#include "kernel/supervisor/judge.hpp"

namespace mansio::cli {

int check_main(const std::string &config_path) {
  const auto files = config::direct_files();
  const auto judged = supervisor::judge(config_path, *files, ::geteuid() == 0);
  for (const auto &problem : judged.problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!judged.problems.empty()) return 1;
  std::printf("%s: ok\n", config_path.c_str());
  return 0;
}

}  // namespace mansio::cli
