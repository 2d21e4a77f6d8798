// What a server's answer means for the mail. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "mansio/plugin.hpp"

namespace mansio::http {

struct Response {
  int status = 0;
  std::int64_t retry_after = 0;  // seconds; 0 = not said
  std::string body;              // the beginning of it
};

// 2xx is sent; 408, 425, 429, 5xx and 3xx (none is followed) are deferred, and so are 401 and 407, which judge our
// credentials and not the message; the rest bounces.
plugin::Reply reply_for(const Response &response);

}  // namespace mansio::http
