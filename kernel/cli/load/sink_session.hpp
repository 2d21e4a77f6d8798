// One session of `mansio sink`: an SMTP or LMTP server that takes everything, but for what the fault rules say.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/cli/load/sink_state.hpp"

namespace mansio::cli::load {

class SinkSession {
 public:
  SinkSession(Sink &sink, Protocol::socket socket);
  Task<> run();

 private:
  Task<bool> greet();
  Task<bool> command(std::string_view line);
  Task<bool> judge(std::string_view stage, std::string_view argument, const std::string *&reply,
                   std::string_view command = {});
  Task<bool> content();
  Task<> wait(std::chrono::nanoseconds time);
  Task<bool> hello(std::string_view verb, std::string_view argument);
  Task<bool> start_tls();
  Task<bool> data();
  Task<bool> bdat(std::string_view argument);
  Task<bool> end_of_data();
  Task<bool> flush();
  void mail(std::string_view argument);
  void take_recipient(std::string_view argument);
  void store(std::string_view bytes);
  void reset();
  void answer(std::string_view reply);

  Sink &sink_;
  Connection connection_;
  std::string out_;
  TakenMessage message_;
  std::uint64_t size_ = 0;
  std::uint64_t taken_ = 0;  // messages whose reply is not sent yet
  bool mail_seen_ = false;
};

}  // namespace mansio::cli::load
