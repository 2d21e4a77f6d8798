// `mansio plugin check FILE.so`: whether a plugin keeps the rules of sdk/ABI.md, as far as trying it can tell.
//
// In a process that is thrown away it is loaded, described, created with the options given, used with harmless and odd
// operations, and destroyed; a line says what was looked at and what came of it. A lookup is asked keys that are hardly
// in any table; a transport is given one small message for check@mansio.invalid, a name that nobody can have; a
// filter or policy is shown whole sessions, some of which are broken off; a rate is asked for leases for keys that are
// hardly anybody's, and given them back; an auth plugin is asked to let strangers in; a store is given messages of a
// spool that nobody has, which it has to give back, and to forget. One that needs a state directory has one that is
// thrown away.
#pragma once

#include <map>
#include <string>

namespace mansio::cli {

struct PluginCheck {
  std::string file;
  std::map<std::string, std::string> options;
};
int plugin_check_main(const PluginCheck &order);  // 0 when all is well

}  // namespace mansio::cli
