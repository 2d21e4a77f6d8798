// Requests over HTTP by libcurl's multi interface, on the host's reactor: nothing here blocks. Connections are kept and
// used again. Certificates are always checked; no proxy that an environment names is used, and no redirection followed.
// All on the instance's loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "mansio/loop.hpp"

namespace mansio::lua {

struct HttpRequest {
  std::string method, url;
  bool has_body = false;
  std::string body;
  std::vector<std::string> headers;    // "Name: value"
  std::vector<std::string> addresses;  // of the URL's host; none: the URL has it as an address
  std::string host;                    // of the URL
  std::uint16_t port = 0;
  std::string ca_file;        // "": the system's
  std::int64_t deadline = 0;  // as the host's now()
  std::size_t limit = 0;      // octets of the body of a response
};

struct HttpResponse {
  std::string why;    // there is none; "" = there is one
  bool sent = false;  // the whole request, so that the server may have done what it asks for
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case, in their order
  std::string body;
};

class HttpClient {
 public:
  explicit HttpClient(const plugin::Host &host);
  ~HttpClient();
  HttpClient(const HttpClient &) = delete;
  HttpClient &operator=(const HttpClient &) = delete;

  plugin::Task<HttpResponse> fetch(HttpRequest request, plugin::Cancel &cancel);

  // Host and port of a URL with a scheme that is spoken here; "" and `why` otherwise.
  static std::string host_of(const std::string &url, std::uint16_t &port, std::string &why);

 private:
  class Transfer;
  struct Watched;
  struct Library;

  void act(int fd, int events);
  void changed(int fd, int what);
  void arm(Watched &watched);
  void arm_timer(long milliseconds);
  void finish();

  plugin::Host host_;
  std::unique_ptr<Library> library_;  // libcurl's own state
  std::unordered_map<int, std::unique_ptr<Watched>> watched_;
  std::unordered_map<void *, Transfer *> transfers_;  // by libcurl's handle
  std::uint64_t timer_ = 0;
};

}  // namespace mansio::lua
