// Words of an operator's request, taken apart.
#pragma once

#include <string>
#include <string_view>

#include "kernel/queue/command.hpp"

namespace mansio::queue {

std::string_view match_of(const Command &command, std::string_view name);  // "": not given
// `states`: some, with commas between.
bool names_state(std::string_view states, std::string_view name);
// An option of qshape but "state": false if it is none; what it says of the buckets goes into `buckets` if given.
bool shape_option(const std::string &key, const std::string &value, Buckets *buckets = nullptr);

}  // namespace mansio::queue
