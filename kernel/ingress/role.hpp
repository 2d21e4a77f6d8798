// The ingress role: SMTP servers on the configured listeners, writing into segments of their own.
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::ingress {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::ingress
