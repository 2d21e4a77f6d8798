// One client session of `mansio source`: connects, greets, encrypts, and sends one message after another.
#pragma once

#include <string>
#include <string_view>

#include "kernel/cli/load/client.hpp"

namespace mansio::cli::load {

// Replies and outcomes are not made with braces inside co_return: gcc 12 destroys such a temporary twice.
struct Reply {
  int code = 0;  // 0: the connection is lost
  std::string text;
  bool positive() const { return code >= 200 && code < 300; }
};
inline Reply lost_reply(std::string why) { return {0, std::move(why)}; }

class SmtpClient final : public Client {
 public:
  SmtpClient(asio::io_context &loop, Watchdog &watchdog, const ClientOptions &options)
      : options_(options), connection_(loop, watchdog) {}

  Task<bool> open() override;  // up to the last EHLO's reply
  // The content is dot-stuffed, and ends in CRLF.
  Task<Outcome> send(const OutgoingMessage &message) override;
  Task<> quit() override;

  bool usable() const override { return connection_.open() && error_.empty(); }
  const std::string &error() const override { return error_.empty() ? connection_.error() : error_; }
  bool refused_for_good() const override { return permanent_; }  // the greeting or EHLO was 5xx

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
