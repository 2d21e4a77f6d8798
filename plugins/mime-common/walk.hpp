// The parts of a message (RFC 2045, 2046) one after the other, depth first, as it is read from its beginning to its
// end: what is in a multipart or an embedded message comes behind it. Only places in the message are told of a part;
// nothing of its content is held. The object is of a fixed size, about 22 KiB.
//
// Mail is damaged, or made to be read in two ways, so nothing here is an error but a limit: a multipart whose last
// delimiter is missing ends where the one around it goes on, or with the message; a header section without an empty
// line ends at a delimiter, too. What is beyond a limit is said to be there: a part that nobody sees is none that can
// be let through.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/mime-common/boundaries.hpp"
#include "plugins/mime-common/lines.hpp"
#include "plugins/mime-common/source.hpp"

namespace mansio::mime {

// A part; offsets in the message.
struct Entity {
  std::uint64_t header_begin = 0, header_end = 0;  // without the empty line
  std::uint64_t body_begin = 0;
  std::uint32_t depth = 0;   // 1: the message itself
  std::uint32_t number = 0;  // from 1
  bool container = false;    // a multipart with a boundary or an embedded message, whose parts come next
  bool in_digest = false;    // without a Content-Type it is message/rfc822
};

enum class Step { Part, End, TooDeep, TooMany, TooLong };

class Walk {
 public:
  static constexpr std::uint32_t kDeepest = 64, kMostParts = 10'000;
  static constexpr std::size_t kLongestField = 16 << 10;  // of Content-Type and Content-Transfer-Encoding: TooLong

  Walk() {}  // leaves its buffers as they are

  // Once it has said anything but Part, or the source has thrown, it says End.
  Step next(Source &source, Entity &part);
  // Where the body of the last part ends, without the line break that belongs to the delimiter behind it. Of one that
  // is no container, until next() is called.
  std::uint64_t end_of_body(Source &source);

 private:
  // What the walk has to know of a header section.
  struct Header {
    std::optional<std::string> type, encoding;
    bool too_long = false;
  };
  bool next_piece(Source &source, LinePiece &piece);
  Header read_header(Source &source, Entity &part);
  void enter(const Header &header, Entity &part);
  void skip_body(Source &source);

  Lines lines_;
  Boundaries boundaries_;
  std::optional<Boundaries::Delimiter> delimiter_;  // of the line that was read last
  std::uint64_t body_begin_ = 0, body_end_ = 0;     // of the last part; the end as far as it has been read
  std::uint32_t number_ = 0;
  bool at_header_ = true;      // what comes next is a header section, and not the rest of a body
  bool body_skipped_ = false;  // up to a delimiter, or the end of the message
  bool at_end_ = false, ended_ = false;
  bool in_line_ = false, after_cr_ = false;  // where the piece that was read last has ended
};

}  // namespace mansio::mime
