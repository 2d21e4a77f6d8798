// One client session of `mansio source`: connects, greets, encrypts, and sends one message after another.
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
  bool lmtp = false;
  bool pipelining = true;  // where the server offers it
  TlsContext tls;          // null: clear
  bool implicit_tls = false;
  bool verify = false;      // the certificate must be for server_name
  std::string server_name;  // for SNI too; "" = none
  std::string helo = "source.invalid";
};

// Replies and outcomes are not made with braces inside co_return: gcc 12 destroys such a temporary twice.
struct Reply {
  int code = 0;  // 0: the connection is lost
  std::string text;
  bool positive() const { return code >= 200 && code < 300; }
};
inline Reply lost_reply(std::string why) { return {0, std::move(why)}; }

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
  std::string_view body;  // dot-stuffed, ends in CRLF; so does the header, with its empty line
};

class SmtpClient {
 public:
  SmtpClient(asio::io_context &loop, Watchdog &watchdog, const ClientOptions &options)
      : options_(options), connection_(loop, watchdog) {}

  Task<bool> open();  // up to the last EHLO's reply; error() says why not
  Task<Outcome> send(const OutgoingMessage &message);
  Task<> quit();

  bool usable() const { return connection_.open() && error_.empty(); }
  const std::string &error() const { return error_.empty() ? connection_.error() : error_; }
  bool refused_for_good() const { return permanent_; }  // the greeting or EHLO was 5xx

 private:
  Task<Reply> read_reply();
  Task<Reply> ask(std::string_view command);  // without its line end
  Reply lost() const { return lost_reply(connection_.error()); }
  Task<bool> hello();
  Task<Outcome> finish(const OutgoingMessage &message, Outcome outcome);
  bool fail(const Reply &reply, std::string_view at);
  void note(Outcome &outcome, const Reply &reply) const;

  const ClientOptions &options_;
  Connection connection_;
  std::string error_;
  bool pipelining_ = false, starttls_ = false, permanent_ = false;
};

}  // namespace mansio::cli::load
