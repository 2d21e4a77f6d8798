// A message line by line, in pieces where a line is longer than the buffer, which is part of the object: whoever owns
// it knows what it takes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "plugins/mime-common/source.hpp"

namespace mansio::mime {

struct LinePiece {
  std::string_view text;    // with the LF of the line, where this is its end; good until the next piece is asked for
  std::uint64_t begin = 0;  // offset in the message
  bool first = false;       // the line begins here
  bool last = false;        // the line ends here
};

class Lines {
 public:
  Lines() {}  // leaves the buffer as it is

  // False: the end of the message. A line up to the size of the buffer comes in one piece.
  bool next(Source &source, LinePiece &piece);
  std::uint64_t offset() const { return begin_ + from_; }  // of what comes next

 private:
  bool fill(Source &source);

  std::uint64_t begin_ = 0;  // offset of the buffer's first octet
  std::size_t from_ = 0, to_ = 0;
  bool line_begins_ = true;
  std::array<char, 8192> buffer_;
};

}  // namespace mansio::mime
