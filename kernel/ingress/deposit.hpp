// The last step of every message that a client brings: an id, the trace header, the commit, and the notice to the
// queue. Only after it may the client hear that the message is taken.
#pragma once

#include <memory>
#include <vector>

#include "kernel/ingress/environment.hpp"
#include "kernel/mail/headers.hpp"

namespace mansio::ingress {

// `envelope` lacks nothing but its body and configuration epoch, which are filled in; `content` has seen the whole
// draft. An error is logged here and means to the client what commit_refusal() says.
Task<Result<MessageId>> deposit(Environment &env, Service &service, Envelope &envelope,
                                std::unique_ptr<spool::Draft> draft, const ContentScanner &content);

// The route's place in `routes`, where it is added if it is new.
std::uint16_t intern(std::vector<Route> &routes, Route route);

}  // namespace mansio::ingress
