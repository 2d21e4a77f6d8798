// What the end of a command means: exit statuses of sysexits(3) as Postfix takes them, unless what it printed begins
// with an enhanced status code. Pure.
#pragma once

#include <string>

#include "mansio/plugin.hpp"

namespace mansio::pipe {

// `wait_status`: as of waitpid().
plugin::Reply reply_for(int wait_status, const std::string &output);

}  // namespace mansio::pipe
