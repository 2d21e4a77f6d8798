// Replies of an SMTP or LMTP server (RFC 5321 section 4.2, RFC 2034 enhanced codes), parsed from bytes as they come.
// Pure; fuzzed by tests/fuzz/reply_fuzz.cpp.
//
// Liberal where servers differ harmlessly: a bare LF ends a line, codes of a multi-line reply may differ (the last
// counts), text is cut after kTextLimit. Strict where going on would mean guessing: a line that does not begin with
// a reply code, one longer than kLineLimit, or more lines than kLinesLimit make the conversation unusable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::smtp {

using plugin::Enhanced;

inline constexpr std::size_t kLineLimit = 8192;
inline constexpr std::size_t kLinesLimit = 512;
inline constexpr std::size_t kTextLimit = 4096;
inline constexpr std::size_t kMechanismsLimit = 64;

struct Reply {
  std::uint16_t code = 0;
  Enhanced enhanced;               // cls 0: the server gave none
  std::string text;                // UTF-8 on one line, lines joined by a space, codes taken off
  std::vector<std::string> lines;  // each line's text as it was, for EHLO

  bool positive() const { return code >= 200 && code < 300; }
  bool transient() const { return code >= 400 && code < 500; }
  bool permanent() const { return code >= 500; }
  // The server's enhanced code, or x.0.0.
  Enhanced status() const { return enhanced.cls ? enhanced : Enhanced{static_cast<std::uint16_t>(code / 100), 0, 0}; }
};

class ReplyParser {
 public:
  enum class State { More, Complete, Bad };
  // Consumes whole lines from the front of `bytes` (`consumed` says how much) up to the end of one reply.
  State parse(std::string_view bytes, std::size_t &consumed);
  // After Complete: the reply; the parser is ready for the next.
  Reply take();

 private:
  bool line(std::string_view text, bool &last);
  Reply reply_;
};

// "5.1.1 rest": the code, and `text` moved past it; nullopt when there is none of that class.
std::optional<Enhanced> take_enhanced(std::string_view &text, unsigned cls);
// `bytes` with everything that is not printable UTF-8 replaced by '?'.
std::string printable(std::string_view bytes);

// Attributes of XFORWARD, as bits.
enum ForwardAttribute : std::uint32_t {
  kForwardName = 1,
  kForwardAddr = 2,
  kForwardPort = 4,
  kForwardProto = 8,
  kForwardHelo = 16,
  kForwardIdent = 32,
  kForwardSource = 64,
};

// What a server said to EHLO or LHLO. Keywords we do not know are left alone.
struct Capabilities {
  bool esmtp = false;  // EHLO succeeded
  bool pipelining = false, chunking = false, eight_bit_mime = false, smtputf8 = false, dsn = false, starttls = false,
       require_tls = false, mt_priority = false, size = false;
  std::uint64_t size_limit = 0;   // 0: offered without a limit, or not offered
  std::uint32_t xforward = 0;     // ForwardAttribute bits; 0: not offered
  std::vector<std::string> auth;  // the first kMechanismsLimit SASL mechanisms; none: AUTH is not offered
};
Capabilities parse_ehlo(const Reply &reply);

}  // namespace mansio::smtp
