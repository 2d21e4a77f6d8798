// What the source's sessions need of a client, whatever it speaks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cli/load/connection.hpp"
#include "kernel/cli/load/tls.hpp"

namespace mansio::cli::load {

struct ClientOptions {
  Endpoint target;
  ConnectOptions connect;
  bool lmtp = false;
  bool pipelining = true;  // where the server offers it
  bool greet = true;       // false: no HELO, as clients once were
  TlsContext tls;          // null: clear
  bool implicit_tls = false;
  bool verify = false;      // the certificate must be for server_name
  std::string server_name;  // for SNI too; "" = none
  std::string helo = "source.invalid";
};

// How one message went.
struct Outcome {
  enum Kind { Accepted, Partly, Temporary, Permanent, Lost };
  Kind kind = Lost;
  std::uint32_t recipients = 0;  // accepted
  std::string reason;            // the first reply or error that made it less than Accepted
};

inline Outcome failed(Outcome::Kind kind, std::string why) { return {kind, 0, std::move(why)}; }

struct OutgoingMessage {
  std::string sender;
  std::vector<std::string> recipients;
  std::string header;
  std::string_view body;  // in the form that the protocol sends; so is the header, with its empty line
};

class Client {
 public:
  virtual ~Client() = default;
  virtual Task<bool> open() = 0;  // until a message may be sent; error() says why not
  virtual Task<Outcome> send(const OutgoingMessage &message) = 0;
  virtual Task<> quit() = 0;
  virtual bool usable() const = 0;  // for another message
  virtual const std::string &error() const = 0;
  virtual bool refused_for_good() const = 0;  // open() failed for a permanent reason
};

}  // namespace mansio::cli::load
