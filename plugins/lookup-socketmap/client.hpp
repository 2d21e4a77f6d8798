// A connection to a socketmap server, for one question at a time.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lookup-common/answer.hpp"
#include "plugins/lookup-common/deadline.hpp"

namespace mansio::lookup {

class SocketmapClient {
 public:
  // nullptr, and `why`: no connection.
  static std::unique_ptr<SocketmapClient> connect(const Endpoint &to, std::chrono::nanoseconds timeout,
                                                  std::string &why);
  // Nothing, and `why`: the connection is of no more use.
  std::optional<Answer> ask(std::string_view map, std::string_view key, std::string &why);

 private:
  SocketmapClient(Socket socket, std::string name, std::chrono::nanoseconds timeout);

  Socket socket_;
  std::string name_;  // of the server, for messages
  std::chrono::nanoseconds timeout_;
};

}  // namespace mansio::lookup
