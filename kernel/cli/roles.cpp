#include "kernel/cli/roles.hpp"

#include "kernel/control/role.hpp"
#include "kernel/egress/role.hpp"
#include "kernel/host/role.hpp"
#include "kernel/ingress/role.hpp"
#include "kernel/process/role.hpp"
#include "kernel/queue/role.hpp"
#include "kernel/router/role.hpp"
#include "kernel/supervisor/config_child.hpp"

namespace mansio::cli {

int role_main(wire::RoleKind kind, io::UniqueFd channel) {
  process::RoleFactory make;
  switch (kind) {
    case wire::RoleKind::Config:
      return supervisor::run_config_child(std::move(channel));
    case wire::RoleKind::Control:
      make = control::make_role;
      break;
    case wire::RoleKind::Queue:
      make = queue::make_role;
      break;
    case wire::RoleKind::Ingress:
      make = ingress::make_role;
      break;
    case wire::RoleKind::Router:
      make = router::make_role;
      break;
    case wire::RoleKind::Host:
      make = host::make_role;
      break;
    case wire::RoleKind::Egress:
      make = egress::make_role;
      break;
    default:
      return 64;  // EX_USAGE: not a role of this binary
  }
  return process::run_role(make, std::move(channel));
}

}  // namespace mansio::cli
