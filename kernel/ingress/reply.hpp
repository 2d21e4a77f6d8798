// An SMTP reply: code, enhanced status (RFC 2034, RFC 3463), text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"

namespace mansio::ingress {

struct Reply {
  std::uint16_t code = 250;
  EnhancedStatus enhanced{2, 0, 0};
  std::string text = "Ok";

  bool refusal() const { return code >= 400; }
};

// "550 5.1.1 text\r\n". HELO, EHLO, the greeting and 354 have no enhanced code: leave it empty.
void append(std::string &out, const Reply &reply);

// soft_bounce: a refusal for good becomes one for now.
void soften(Reply &reply);

// "550 5.1.1 text" without line end, as in log lines.
std::string to_string(const Reply &reply);

// What the commit path's errors mean to a client: Busy 452 4.3.1, all else 451 4.3.0. The error's own enhanced code
// is not shown, the text neither: they speak of our disks.
Reply commit_refusal(const Error &error);

}  // namespace mansio::ingress
