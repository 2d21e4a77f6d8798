// The resolver of a role, as [dns] has it.
#pragma once

#include <memory>

#include "kernel/io/dns.hpp"
#include "kernel/process/role.hpp"

namespace mansio::process {

std::unique_ptr<io::Dns> make_resolver(const RoleContext &context);

}  // namespace mansio::process
