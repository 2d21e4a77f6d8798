// The delivery process: one transport instance, run on behalf of the queue's leases.
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::egress {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::egress
