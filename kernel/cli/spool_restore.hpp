// `mansio spool restore`: has a running Mansio bring back mail from a store into its spool, and says how it goes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/cli/instance.hpp"

namespace mansio::cli {

struct SpoolRestore {
  std::string store;
  std::string from;  // a spool's name, or "all"; "": that of the one other spool that the store has mail of
  bool hold = false;
  bool list = false;  // say what the store has, and do nothing
};

// What the queue's answer to "stores" says of one; `found` is false if there is none of that name.
struct StoreSummary {
  bool found = false, connected = false, looked_through = false;
  std::string spool;                                         // what ours is called
  std::vector<std::pair<std::string, std::int64_t>> spools;  // whose mail it has, and how many messages
  bool running = false;
  std::int64_t restored = 0, done_already = 0, damaged = 0, waiting = 0;
  std::string problem;
};
StoreSummary store_summary(std::string_view lines, std::string_view store);
// Which spool's mail is meant; or why that cannot be told, as a sentence.
Result<std::string> spool_meant(const StoreSummary &store);

// Exit status 0: all that there was is in the spool; 1: refused, failed, or some of it is damaged.
int restore_main(const Where &where, const SpoolRestore &order);

}  // namespace mansio::cli
