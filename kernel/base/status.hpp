// Outcomes shared by the kernel and the plugin ABI: a Status says what a caller may do next,
// an Error adds the enhanced code (RFC 3463) and a text for a human.
//
// More than two outcomes on purpose: "not found" is an answer, "defer" means try later, "fail" is
// permanent, "uncertain" may have happened and is retried (a duplicate beats a loss).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio {

enum class Status : std::int32_t {
  Ok = 0,
  NotFound = 1,
  Skip = 2,
  Defer = -1,      // temporary: try later
  Fail = -2,       // permanent for this message, key or input
  Busy = -3,       // not started: overload, ask again
  Uncertain = -4,  // may have happened
  Cancelled = -5,
  BadConfig = -6,
  Unsupported = -7,
  Internal = -8,
};

std::string_view name(Status status);

// RFC 3463 "class.subject.detail"; all zero means "none given".
struct EnhancedStatus {
  std::uint8_t cls = 0;
  std::uint16_t subject = 0;
  std::uint16_t detail = 0;

  bool empty() const { return cls == 0; }
  bool operator==(const EnhancedStatus &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.cls, s.subject, s.detail);
  }
};

std::string to_string(EnhancedStatus status);  // "4.3.1"; "" when empty

struct Error {
  Status status = Status::Internal;
  std::string text;
  EnhancedStatus enhanced{};

  bool operator==(const Error &) const = default;
};

}  // namespace mansio
