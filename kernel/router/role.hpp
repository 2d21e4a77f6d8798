// The router process: routes messages again (requeue, a route whose transport is gone) and writes delivery status
// notifications, which are mail like any other: composed here, committed through the same path as an ingress does,
// with an envelope that cites the parent message and event so that recovery recognises one already written. Mail that
// plugins put into the queue, wherever they run, is committed here as well (submissions.hpp).
#pragma once

#include <memory>

#include "kernel/process/role.hpp"

namespace mansio::router {

std::unique_ptr<process::Role> make_role();

}  // namespace mansio::router
