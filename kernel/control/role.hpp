// The control process: the operator's UNIX socket SPOOL/control.sock, bridged to the queue and the supervisor.
//
// Protocol: one JSON object a line each way. A request {"command": "status"} or {"command": "queue", "verb": "hold",
// "ids": [...], "all": false, "match": {...}, "report": false} is answered by any number of data lines and one last line
// {"result": "ok", "affected": n} or {"result": "error", "error": "..."}; data lines have no member "result".
// Commands: status, metrics, queue, reload, stop, reopen-log.
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::control {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::control
