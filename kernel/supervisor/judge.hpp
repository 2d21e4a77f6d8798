// The judgement of a configuration: what `mansio check` prints and what every start and reload demands are this one
// function, so that neither finds fault with what the other lets pass. It reads the files, asks the plugins, and
// reports all it can find at once, each problem with file, line, key and what was expected.
//
// What depends on the moment is not judged here: limits on descriptors, ports in use, the spool.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/config/parse.hpp"

namespace mansio::supervisor {

struct Judgement {
  std::vector<config::Problem> problems;  // the rest holds only if there is none
  config::Parsed parsed;
  std::string plugin_dir;                   // resolved
  std::int64_t uid = -1, gid = -1;          // of `user`, when as_root
  std::vector<std::uint32_t> needs;         // MANSIO_NEEDS_* of each transport
  std::vector<std::uint32_t> lookup_needs;  // and of each [lookup.NAME]
  std::vector<std::uint32_t> filter_needs, policy_needs, event_needs, rate_needs, auth_needs, store_needs;
  std::vector<std::string> files;  // that options of plugins name
};

// `as_root`: the processes will drop to `user`, who must exist then.
Judgement judge(const std::string &path, config::Files &files, bool as_root);

struct User {
  std::int64_t uid = -1, gid = -1;
};
bool find_user(const std::string &name, User &user);

}  // namespace mansio::supervisor
