// The host role: a process that runs one plugin instance, and nothing else (isolation = "process"). It restricts itself
// to what the plugin declares and the configuration grants, then serves whoever the supervisor attaches: the egress of
// a transport, every process that may ask a table, every ingress process, or the queue process.
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::host {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::host
