// Client: requests over libcurl. A connection is kept after its request and used again: each belongs to a handle, and
// the handle that was used last is taken first. Thread-safe; a request blocks its thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/transport-http/body.hpp"
#include "plugins/transport-http/options.hpp"
#include "plugins/transport-http/status.hpp"

namespace mansio::http {

struct Request {
  std::vector<std::string> headers;
  Body &body;
  std::int64_t time_limit = 0;    // ns
  std::function<bool()> go_on{};  // asked about once a second; false ends the request
};

struct Exchange {
  enum class Outcome { Answered, NotSent, Uncertain, Unreadable };
  Outcome outcome = Outcome::NotSent;  // NotSent: the server cannot have the whole of it
  bool connected = false;
  Response response;  // when Answered
  std::string error;  // otherwise
  std::string relay;  // "host[192.0.2.1]:443", once connected
  std::uint32_t connection_use = 0;
  std::int64_t connect_ns = 0, transmit_ns = 0;
};

class Client {
 public:
  explicit Client(const Settings &settings);
  ~Client();
  Client(const Client &) = delete;
  Client &operator=(const Client &) = delete;

  Exchange post(const Request &request);

 private:
  struct Handle;
  std::unique_ptr<Handle> take();
  void configure(Handle &handle, const Request &request) const;

  const Settings &settings_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;
};

}  // namespace mansio::http
