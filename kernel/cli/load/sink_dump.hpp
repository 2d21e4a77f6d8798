// What `mansio sink` writes of the messages it takes: a Maildir-like directory of its own, or files as smtp-sink writes
// them (-d one a message, -D several in one).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/result.hpp"

namespace mansio::cli::load {

struct DumpOptions {
  std::string directory;           // messages go to its new/, whole when they appear; "" = none
  std::string one_each, together;  // smtp-sink's -d and -D: strftime templates; "" = none
  std::string start;               // smtp-sink's -S
  std::string hostname;
  bool any() const { return !directory.empty() || !one_each.empty() || !together.empty(); }
};

struct TakenMessage {
  struct Recipient {
    std::string address, parameters;
  };
  std::string client_address;  // "192.0.2.1", "ipv6:2001:db8::1", "unknown"
  std::string protocol;        // "SMTP", "ESMTP", "LMTP", "QMQP"
  std::string helo, sender, sender_parameters;
  std::vector<Recipient> recipients;
  std::string content;  // unstuffed
  bool tls = false, bdat = false;
};

Result<void> prepare_dumps(const DumpOptions &options);
// `number` counts the sink's messages.
Result<void> dump(const DumpOptions &options, const TakenMessage &message, std::uint64_t number);

// smtp-sink's form of a message; `id` is the random part of its file's name, `date` is of RFC 5322.
std::string dumped_text(const DumpOptions &options, const TakenMessage &message, std::string_view id,
                        std::string_view date);
// C's escapes \a \b \f \n \r \t \v \ddd \\ made the characters they mean.
std::string unescape(std::string_view text);

}  // namespace mansio::cli::load
