// What commands print: their output, and in a line why they failed.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace mansio::cli {

inline void put(std::string_view text, std::FILE *to = stdout) { std::fwrite(text.data(), 1, text.size(), to); }

// Of an operator's order that was not carried out; after what it did print. Returns the exit status.
inline int complain(const std::string &text) {
  std::fflush(stdout);
  put("mansio: " + text + "\n", stderr);
  return 1;
}

// Of a command that makes no sense as it is given, or has not what it works on. Returns the exit status.
inline int refuse(const std::string &command, const std::string &text) {
  put("mansio " + command + ": " + text + "\n", stderr);
  return 2;
}

}  // namespace mansio::cli
