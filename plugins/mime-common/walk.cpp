#include "plugins/mime-common/walk.hpp"

#include <algorithm>
#include <utility>

#include "plugins/common/ascii.hpp"
#include "plugins/mime-common/decoder.hpp"
#include "plugins/mime-common/parameters.hpp"

namespace mansio::mime {
namespace {

bool is_message(std::string_view type) { return type == "message/rfc822" || type == "message/global"; }

// The name of the field that a line begins; "" when it begins none.
std::string_view name_of(std::string_view line) {
  auto name = line.substr(0, line.find(':'));
  if (name.size() == line.size()) return {};
  while (name.ends_with(' ') || name.ends_with('\t')) name.remove_suffix(1);
  return name;
}

}  // namespace

Step Walk::next(Source &source, Entity &part) {
  if (std::exchange(ended_, true)) return Step::End;  // which it stays when the source throws
  while (!at_header_) {
    skip_body(source);
    if (at_end_) return Step::End;
    const auto delimiter = *std::exchange(delimiter_, std::nullopt);
    boundaries_.keep(delimiter.level + (delimiter.closes ? 0 : 1));
    at_header_ = !delimiter.closes;  // what is behind the last delimiter is no part
    body_skipped_ = false;
  }
  if (number_ == kMostParts) return Step::TooMany;
  if (boundaries_.levels() == kDeepest) return Step::TooDeep;
  part = {};
  part.number = ++number_;
  part.depth = static_cast<std::uint32_t>(boundaries_.levels()) + 1;
  part.in_digest = boundaries_.digest();
  const auto header = read_header(source, part);
  if (header.too_long) return Step::TooLong;
  enter(header, part);
  ended_ = false;
  return Step::Part;
}

std::uint64_t Walk::end_of_body(Source &source) {
  skip_body(source);
  return std::max(body_begin_, body_end_);
}

bool Walk::next_piece(Source &source, LinePiece &piece) {
  if (!lines_.next(source, piece)) {
    at_end_ = true;
    return false;
  }
  in_line_ = !piece.last;
  return true;
}

Walk::Header Walk::read_header(Source &source, Entity &part) {
  Header header;
  LinePiece piece;
  while (in_line_ && next_piece(source, piece)) continue;  // the rest of a delimiter's
  part.header_begin = lines_.offset();
  std::string *value = nullptr;
  for (;;) {
    const bool more = next_piece(source, piece);
    if (more && piece.first) delimiter_ = boundaries_.match(piece.text);
    const bool empty = more && piece.first && (piece.text == "\r\n" || piece.text == "\n");
    if (!more || delimiter_ || empty) {
      part.header_end = more ? piece.begin : lines_.offset();
      part.body_begin = empty ? lines_.offset() : part.header_end;
      body_skipped_ = !empty;
      break;
    }
    auto text = piece.text;
    if (piece.first && text.front() != ' ' && text.front() != '\t') {
      const auto name = name_of(text);
      value = nullptr;
      if (!header.type && ascii::equal_fold(name, "content-type")) value = &header.type.emplace();
      if (!header.encoding && ascii::equal_fold(name, "content-transfer-encoding")) value = &header.encoding.emplace();
      if (value) text.remove_prefix(text.find(':') + 1);
    }
    if (!value) continue;
    *value += text;
    if (value->size() <= kLongestField) continue;
    header.too_long = true;
    break;
  }
  body_begin_ = body_end_ = part.body_begin;
  return header;
}

// Into the part, if there is a way.
void Walk::enter(const Header &header, Entity &part) {
  const auto type = content_type(header.type, part.in_digest);
  at_header_ = false;
  if (type.value.starts_with("multipart/")) {
    // Blanks at its end may have come on the way (RFC 2046 section 5.1.1).
    auto boundary = type.parameter("boundary");
    boundary = boundary.substr(0, boundary.find_last_not_of(" \t") + 1);
    if (boundary.empty()) return;
    boundaries_.push(boundary, type.value == "multipart/digest");
    part.container = true;
  } else if (is_message(type.value) && encoding_of(header.encoding.value_or("")) == Encoding::None) {
    boundaries_.push("", false);
    part.container = true;
    at_header_ = !body_skipped_;  // else it has no content
  }
}

void Walk::skip_body(Source &source) {
  LinePiece piece;
  while (!body_skipped_) {
    if (!next_piece(source, piece)) {
      body_end_ = lines_.offset();
      body_skipped_ = true;
      break;
    }
    if (piece.first) delimiter_ = boundaries_.match(piece.text);
    if (delimiter_) {
      body_skipped_ = true;
      break;
    }
    const auto text = piece.text;
    std::size_t line_break = text.ends_with("\r\n") ? 2 : text.ends_with('\n') ? 1 : 0;
    if (text == "\n" && after_cr_) line_break = 2;
    after_cr_ = text.ends_with('\r');
    body_end_ = piece.begin + text.size() - line_break;
  }
}

}  // namespace mansio::mime
