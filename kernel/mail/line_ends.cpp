#include "kernel/mail/line_ends.hpp"

#include <algorithm>

namespace mansio {

void LineEnds::count(std::uint64_t n) {
  line_ += n;
  line_began_ = true;
  longest_ = std::max(longest_, line_);
}

void LineEnds::end_line(std::string &out) {
  out += "\r\n";
  line_ = 0;
  line_began_ = false;
}

std::string LineEnds::feed(std::string_view piece) {
  std::string out;
  out.reserve(piece.size() + piece.size() / 32 + 2);
  while (!piece.empty()) {
    if (cr_) {
      cr_ = false;
      if (piece.front() == '\n') {
        end_line(out);
        piece.remove_prefix(1);
        continue;
      }
      out += ' ';
      count(1);
    }
    const auto run = std::min(piece.find_first_of("\r\n"), piece.size());
    if (run > 0) {
      out += piece.substr(0, run);
      count(run);
      piece.remove_prefix(run);
      continue;
    }
    if (piece.front() == '\n')
      end_line(out);
    else
      cr_ = true;
    piece.remove_prefix(1);
  }
  return out;
}

std::string LineEnds::finish() {
  std::string out;
  if (cr_) {  // nothing follows it that could make a line end of it
    cr_ = false;
    out += ' ';
    count(1);
  }
  if (line_began_) end_line(out);
  return out;
}

}  // namespace mansio
