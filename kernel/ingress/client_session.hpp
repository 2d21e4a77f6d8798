// ClientSession: a client's session as the server sees it, whatever protocol it speaks. A session is one coroutine;
// it states what it waits for and until when, and the server's sweep ends those that are late.
#pragma once

#include "kernel/ingress/environment.hpp"
#include "kernel/io/asio.hpp"

namespace mansio::ingress {

class ClientSession {
 public:
  virtual ~ClientSession() = default;

  virtual Task<void> run() = 0;
  virtual void sweep(Nanos now) = 0;  // ends the session if it is past a limit of time or rate
  virtual void drain() = 0;           // end as soon as no message is under way
  virtual void cut() = 0;             // end now, with a word to the client; a commit under way ends first
  virtual void abandon() = 0;         // the spool goes away before the coroutine does
  virtual const Client &client() const = 0;
  virtual Service &service() = 0;
};

}  // namespace mansio::ingress
