// LineEnds: content that a program of this host made, with whatever line ends it likes, in canonical form: every line
// ends in CRLF, the last one too, and no other CR or LF is left. A bare LF ends a line; a bare CR becomes a space, as
// it does for what clients send (kernel/ingress/data.hpp, whose framing and speed are not needed here). Pure and
// incremental.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio {

class LineEnds {
 public:
  std::string feed(std::string_view piece);  // what can be said of all so far and was not said before
  std::string finish();                      // the end of a last line that has none

  std::uint64_t longest_line() const { return longest_; }  // octets, without its end

 private:
  void count(std::uint64_t n);
  void end_line(std::string &out);

  bool cr_ = false;          // the last octet was one, and what it means is not known yet
  std::uint64_t line_ = 0;   // octets of the line so far
  bool line_began_ = false;  // something of it was given out or is held back
  std::uint64_t longest_ = 0;
};

}  // namespace mansio
