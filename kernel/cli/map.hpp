// `mansio map build|query`: makes the tables that lookup-lmdb reads, and looks into one without a configuration.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::cli {

// argv[0] is "map". Exit status: 0 done or found, 1 a key was not found, 2 it cannot be done, 64 usage.
int map_main(int argc, char **argv);

// Makes the file `to` from text in the syntax of lookup-file's texthash (mansio/text_table.hpp): written beside it,
// synced, and renamed, so a reader sees the old table or the new one. Returns how many entries it has. Errors name the
// line of `source`, and leave `to` as it was.
Result<std::size_t> build_map(std::string_view text, const std::string &source, const std::string &to, bool fold_case);

// Value of each key; nothing for one that is not there.
Result<std::vector<std::optional<std::string>>> query_map(const std::string &path, const std::vector<std::string> &keys,
                                                          bool fold_case);

}  // namespace mansio::cli
