// A QMQP client of `mansio source`: a connection for each message, one reply to all of it.
#pragma once

#include "kernel/cli/load/client.hpp"

namespace mansio::cli::load {

class QmqpClient final : public Client {
 public:
  QmqpClient(asio::io_context &loop, Watchdog &watchdog, const ClientOptions &options)
      : options_(options), connection_(loop, watchdog) {}

  Task<bool> open() override;
  // The message's lines end in LF.
  Task<Outcome> send(const OutgoingMessage &message) override;
  Task<> quit() override;
  bool usable() const override { return connection_.open() && !used_; }
  const std::string &error() const override { return connection_.error(); }
  bool refused_for_good() const override { return false; }

 private:
  Task<Outcome> reply(std::uint32_t recipients);

  const ClientOptions &options_;
  Connection connection_;
  bool used_ = false;
};

}  // namespace mansio::cli::load
