#include "kernel/cli/check.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "kernel/cli/system_check.hpp"
#include "kernel/supervisor/judge.hpp"

namespace mansio::cli {
namespace {

constexpr double kMeasure = 1;  // seconds of syncs

}  // namespace

int check_main(const Where &where, bool system) {
  const auto files = config::direct_files();
  const auto judged = supervisor::judge(where.config, *files, ::geteuid() == 0);
  for (const auto &problem : judged.problems) std::fprintf(stderr, "%s\n", to_string(problem).c_str());
  if (!judged.problems.empty()) return 1;
  std::printf("%s: ok\n", where.config.c_str());
  if (!system) return 0;
  const auto &settings = judged.parsed.settings;
  const auto findings =
      judge_system(look_at_system(where.spool.empty() ? settings.spool : where.spool, kMeasure), settings);
  std::fputs(to_text(findings).c_str(), stdout);
  const bool bad =
      std::any_of(findings.begin(), findings.end(), [](const Finding &f) { return f.grade == Grade::Problem; });
  return bad ? 1 : 0;
}

}  // namespace mansio::cli
