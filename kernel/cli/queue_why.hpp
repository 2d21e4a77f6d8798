// `mansio queue why`, `suspend`, `resume` and `suspensions`, `responses` and `unthrottle`: why mail does not move,
// keeping some from moving, and what next hops' replies do of that.
#pragma once

#include <string>
#include <vector>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

struct WhyOrder {
  std::string verb;
  std::vector<std::string> ids;
  std::string destination, tenant, campaign, sender, pool;
  std::string time, reason;  // of `suspend`
  bool json = false;
};

int why_main(const Where &where, const WhyOrder &order);

// One of the queue process's lines for people.
std::string why_text(std::string_view json_line);

}  // namespace mansio::cli
