// One QMQP session of `mansio sink`: takes one message, but for what the rules for CONNECT and DATA_END say; of a
// reply rule its first digit counts.
#pragma once

#include "kernel/cli/load/sink_state.hpp"
#include "kernel/mail/qmqp.hpp"

namespace mansio::cli::load {

class QmqpSinkSession {
 public:
  QmqpSinkSession(Sink &sink, Protocol::socket socket);
  Task<> run();

 private:
  Task<bool> receive();  // false: there is nothing to answer
  bool take_part(const QmqpReader::Event &event);
  Task<> answer();

  Sink &sink_;
  Connection connection_;
  QmqpReader reader_{64 * 1024};
  TakenMessage message_;
  std::uint64_t size_ = 0;
};

}  // namespace mansio::cli::load
