// The supervisor's side of the configuration child: starts it, opens the files it asks for, takes its answer.
#pragma once

#include <string>

#include "kernel/base/result.hpp"
#include "kernel/supervisor/checked.hpp"
#include "kernel/supervisor/launcher.hpp"

namespace mansio::supervisor {

// Problems of the configuration are in Checked::problems; an Error means that it could not be checked at all.
Task<Result<Checked>> load_config(asio::io_context &loop, Launcher &launcher, std::string path, std::string spool);

}  // namespace mansio::supervisor
