// The operator's subcommands that talk to a running instance: status, reload, stop, queue. Exit status 0: done;
// 1: refused or failed, with a sentence on stderr; queue commands with ids of which none was found: 1.
#pragma once

#include <string>
#include <vector>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

enum class StatusForm { Human, Json, Metrics };
int status_main(const Where &where, StatusForm form);
int order_main(const Where &where, const std::string &command);  // reload, stop, reopen-log

struct QueueOrder {
  std::string verb;
  std::vector<std::string> ids;  // "-" reads more from stdin
  bool all = false;
  std::vector<std::string> match;        // "key=value"
  std::string destination;               // flush, reroute, rebind: of a message only what goes there
  std::string tenant, campaign, sender;  // reroute, rebind: which mail
  std::string transport, nexthop, pool;  // rebind: where to
  bool json = false;                     // list
};
int queue_main(const Where &where, QueueOrder order);

}  // namespace mansio::cli
