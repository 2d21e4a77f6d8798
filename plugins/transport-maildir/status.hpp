// What a delivery's result means to the sender: status and enhanced code (RFC 3463). Pure.
#pragma once

#include <string>

#include "maildir.hpp"
#include "mansio/plugin.hpp"

namespace maildir {

// What becomes of mail for a mailbox that is full.
enum class OverQuota {
  Default,  // beyond `quota` it bounces, beyond the file system's quota it waits
  Bounce,   // 5.2.2
  Defer,    // 4.2.2
};

mansio::plugin::Reply reply_for(const Result &result, const std::string &recipient, OverQuota over_quota);

}  // namespace maildir
