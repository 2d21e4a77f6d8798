// Content: what a command reads, a piece at a time: the headers that flags put before a message, and its lines with the
// line end and the prefixes that are asked for. The message itself is never in memory as a whole. Pure but for `read`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/transport-common/header.hpp"

namespace mansio::pipe {

struct ContentForm {
  std::string eol = "\n";
  bool blank_line_after = false;  // 'B'
  bool quote_dot = false;         // '.'
  bool quote_from = false;        // '>'
};

// C-style escapes in an option's text: \a \b \f \n \r \t \v \\ and up to three octal digits. Throws BadConfig of "eol".
std::string parse_eol(std::string_view text);

class Content {
 public:
  enum class Piece { More, End, Unreadable };

  // `head`: put before it, with line ends.
  Content(ContentForm form, std::string head, transport::ReadMessage read, std::uint64_t length);
  // Appends what comes next to `out`; a piece is about as long as the buffer, and may be empty.
  Piece next(std::string &out);

 private:
  void begin_line(std::string &out, std::string_view line);

  ContentForm form_;
  std::string head_;
  transport::ReadMessage read_;
  std::uint64_t length_, offset_ = 0;
  std::vector<char> in_;
  std::string held_;         // read, not given out yet
  bool line_begins_ = true;  // with held_
};

}  // namespace mansio::pipe
