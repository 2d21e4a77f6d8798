// The last step of every message that a client brings: an id, the trace header, the commit, to the stores first if
// there are any, and the notice to the queue. Only after it may the client hear that the message is taken. What a
// session itself writes to the postmaster is committed the same way.
//
// Stores come first so that what is in the spool is in them, too. The other way round a client that is refused because
// a store is away would have its message delivered, once for each time it comes again.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/ingress/environment.hpp"
#include "kernel/mail/headers.hpp"

namespace mansio::ingress {

// What the envelope holds of its client and listener, its body and configuration epoch are filled in; `content` has
// seen the whole draft; the listener's content filter, if it has one, takes the place of the routes; `prepend` are
// header fields to come before all others. `id`: one reserved before; 0: one is reserved here. An error is logged here
// and means to the client what commit_refusal() says.
Task<Result<MessageId>> deposit(Environment &env, Service &service, const Client &client, Envelope &envelope,
                                std::unique_ptr<spool::Draft> draft, const ContentScanner &content,
                                std::string prepend = {}, MessageId id = {});

// What becomes a message in the queue: what a client brought, or a version of it. Its id is reserved, and `content` has
// seen the whole draft.
struct Deposit {
  MessageId id;
  Envelope *envelope = nullptr;
  std::unique_ptr<spool::Draft> draft;
  const ContentScanner *content = nullptr;
};
// The same of all versions of a message, of which there is at least one: all of them are taken, or none.
Task<Result<void>> deposit(Environment &env, Service &service, const Client &client, std::vector<Deposit> versions,
                           std::string prepend);

// The commit alone, of messages that have all: to every store, then to the spool, and the queue hears of them. An
// error: none is in the spool; what a store may have of them is given up.
Task<Result<void>> commit_everywhere(Environment &env, std::vector<spool::NewMessage> messages, Durability durability);

// Of a piece of content with a NUL in it, where the message goes through a content filter. Some drop NULs before they
// look for lines (DSPAM), so that "\0." alone on a line would end the message for them, and what follows would be
// commands.
std::optional<Reply> nul_refusal(bool filtered, std::string_view content);

// The message is dropped, as an access table wants it; what its client hears.
Reply discard(Environment &env, const Client &client, const Envelope &envelope);

// Waits for in_flow_delay if the client has to; before its next message is taken up.
Task<void> hold_back(Environment &env, Service &service, const Client &client);

}  // namespace mansio::ingress
