// The boundaries of the multiparts that a place of a message is in, the outermost first, and which of them a line is a
// delimiter of (RFC 2046 section 5.1.1). Of a fixed size.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace mansio::mime {

class Boundaries {
 public:
  // RFC 2046 has 70 octets at most. What is longer is known by its beginning, and its last delimiter as another one.
  static constexpr std::size_t kMostLevels = 64, kKept = 200;

  Boundaries() {}  // leaves the texts as they are

  // A level inside all others; "" for an embedded message, which has no delimiters. There is room for kMostLevels.
  void push(std::string_view boundary, bool digest);
  void keep(std::size_t levels) { levels_ = levels; }  // those inside have ended
  std::size_t levels() const { return levels_; }
  bool digest() const { return levels_ != 0 && all_[levels_ - 1].digest; }  // the innermost is multipart/digest

  struct Delimiter {
    std::size_t level;  // from 0
    bool closes;        // the multipart ends here
  };
  // A line is one of the longest boundary that it begins with. `line` is a whole one, or has 2 + kKept + 2 octets.
  std::optional<Delimiter> match(std::string_view line) const;

 private:
  struct Level {
    std::array<char, kKept> text;
    std::size_t length;
    bool cut, digest;
  };
  std::size_t levels_ = 0;
  std::array<Level, kMostLevels> all_;
};

}  // namespace mansio::mime
