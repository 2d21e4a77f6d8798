// `mansio replay`: recorded sessions, shown to candidate scripts at the times at which they were recorded, under a
// virtual clock; what they decide otherwise is printed.
#pragma once

#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "plugins/lua/tool/candidate.hpp"

namespace mansio::lua::tool {

struct ReplayOrder {
  // One without a name takes the place of the only script that was recorded, or watches after all others.
  std::vector<CandidateOrder> candidates;
  std::vector<std::string> recordings;  // files, or directories with files *.jsonl
  std::set<std::string> sessions;       // these alone; empty: all
  bool dns = false;                     // the real one is asked for what the recordings have no answer to
  bool json = false;
};

// Status 0 when nothing differs, 1 when anything does, 2 when it could not be tried; why not goes to `trouble`.
int replay(const ReplayOrder &order, std::FILE *out, std::FILE *trouble);

}  // namespace mansio::lua::tool
