// One connection to a server: opening it up to the point where MAIL may be sent (greeting, EHLO, STARTTLS, AUTH),
// reading replies, taking leave. What is sent over it is in transaction.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mansio/socket.hpp"
#include "mansio/tls.hpp"
#include "plugins/transport-smtp/client/nexthop.hpp"
#include "plugins/transport-smtp/client/options.hpp"
#include "plugins/transport-smtp/client/reply.hpp"
#include "plugins/transport-smtp/client/sasl.hpp"

namespace mansio::smtp {

using plugin::Cancel;
using plugin::IoResult;
using plugin::IoStatus;
using plugin::Task;

// What every part of one instance shares; lives as long as it.
struct Context {
  Host host;
  const Personality &personality;
  Options options;
  plugin::SslContext ssl;
  SaslLibrary sasl;  // null: nobody authenticates
};

struct ReplyResult {
  IoResult io;  // not ok: no reply; Error with error 0 = what came was no reply
  Reply reply;
  explicit operator bool() const { return static_cast<bool>(io); }
};

struct Connection {
  explicit Connection(Host on) : host(on), buffer(64u << 10) {}

  Host host;
  Target target;
  std::unique_ptr<plugin::Stream> stream;
  plugin::ReadBuffer buffer;
  ReplyParser parser;
  Capabilities caps;
  std::string relay;              // target.label()
  std::string tls;                // "" = clear
  std::int64_t opened = 0;        // monotonic
  std::int64_t connect_ns = 0;    // what opening took
  std::uint32_t uses = 0;         // deliveries begun on it
  bool usable = true;             // in step with the server, which has not said goodbye
  bool needs_rset = false;        // a transaction was left open
  TlsPolicy authenticated;        // that the server's certificate was checked by; May: it was not
  std::string authenticated_for;  // the next hop that it was checked for
  Login login;                    // as whom we have authenticated
  std::string source_pool;
  int segment = 0;             // TCP_MAXSEG it was opened with; 0: the system's
  bool pix = false;            // behind a PIX that fixes SMTP up
  bool worked_around = false;  // ... and spoken to accordingly
  bool best = false;           // of the next hop's best preference: may serve it again without a lookup
  std::string out;             // the batch being written; kept for its capacity

  Task<ReplyResult> read_reply(std::int64_t timeout);
  // Writes one command line and reads its reply.
  Task<ReplyResult> command(std::string line, std::int64_t timeout);
  bool encrypted() const { return !tls.empty(); }
};

// Why a server could not be used. Soft failures leave the mail for the next server or a later try.
plugin::Reply io_failure(const Connection &connection, const IoResult &io, std::string_view while_doing);
plugin::Reply remote_failure(const Connection &connection, const Reply &reply, std::string_view in_reply_to,
                             bool force_soft = false);

struct Opened {
  std::unique_ptr<Connection> connection;  // null: see failure
  plugin::Reply failure{MANSIO_DEFER, {4, 4, 1}, "not tried"};
  bool reached = false;  // the server was connected to: counts as a session
  bool greeted = false;  // it is there and answers, whatever it says
  bool ours = false;     // we did not even try to connect
};
struct OpenRequest {
  Target target;
  std::string nexthop;  // its name, for certificates
  TlsPolicy tls;
  bool require_tls = false;   // RFC 8689
  Login login;                // as whom to authenticate
  std::string source_pool;    // "": none
  int segment = 0;            // TCP_MAXSEG; 0: the system's
  bool old = false;           // the message is old enough for pix_workarounds
  std::int64_t patience = 0;  // for connecting and the greeting together; 0: only the time limits in the options
};
Task<Opened> open_connection(const Context &context, OpenRequest request, Cancel &cancel);

// QUIT, then close. Owns the connection; ends early when cancelled.
Task<> farewell(const Context &context, std::unique_ptr<Connection> connection, Cancel &cancel);

}  // namespace mansio::smtp
