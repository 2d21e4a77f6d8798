// Text from outside made fit for a line of a log or a terminal: control octets become '?', so that what a peer sent can
// neither begin a line of its own nor steer whoever reads it. Octets above 0x7f stay: UTF-8 is printable.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace mansio {

inline std::string without_controls(std::string_view from) {
  std::string text{from};
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace mansio
