// The bytes of a message on their way out: bare CR and LF mended, dots stuffed (RFC 5321 section 4.5.2). Pure.
#pragma once

#include <string>
#include <string_view>

namespace mansio::smtp {

// True when every CR is followed by LF, every LF preceded by CR, and the text ends with CRLF (or is empty).
bool is_canonical(std::string_view text);

// Streams text: every line end becomes CRLF, a dot at the start of a line is doubled if `stuff`.
class ContentFilter {
 public:
  explicit ContentFilter(bool stuff) : stuff_(stuff) {}
  void add(std::string_view text, std::string &out);
  // Ends an unfinished line.
  void finish(std::string &out);

 private:
  bool stuff_;
  bool line_start_ = true;
  bool pending_cr_ = false;
};

}  // namespace mansio::smtp
