// `mansio lookup NAME KEY...`: asks a configured table, with the plugin loaded into the tool's own process, so that it
// works without a running instance. Output as postmap -q: a line "KEY<TAB>VALUE" for each value (without KEY when only
// one was asked for). Status: 0 all found, 1 some not, 75 (EX_TEMPFAIL) when a table could not say.
#pragma once

#include <string>
#include <vector>

namespace mansio::cli {

struct LookupOrder {
  std::string config, table;
  std::vector<std::string> keys;  // "-": from standard input, one a line
};
int lookup_main(const LookupOrder &order);

}  // namespace mansio::cli
