// Which code runs under which role name: the one place that knows every role.
#pragma once

#include "kernel/io/fd.hpp"
#include "kernel/wire/process_messages.hpp"

namespace mansio::cli {

int role_main(wire::RoleKind kind, io::UniqueFd channel);

}  // namespace mansio::cli
