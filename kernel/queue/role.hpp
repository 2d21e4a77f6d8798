// The queue process: opens the spool, wires QueueCore to the loop, its timer and the channels.
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::queue {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::queue
