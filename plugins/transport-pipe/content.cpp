#include "plugins/transport-pipe/content.hpp"

#include <algorithm>
#include <utility>

#include "mansio/config.hpp"

namespace mansio::pipe {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;
constexpr std::string_view kFrom = "From ";

}  // namespace

std::string parse_eol(std::string_view text) {
  const plugin::BadConfig bad{"eol", "is \"" + std::string{text} + "\", expected a line end such as '\\n' or '\\r\\n'"};
  constexpr std::string_view kLetters = "abfnrtv\\", kMeanings = "\a\b\f\n\r\t\v\\";
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i == text.size()) throw bad;
    if (const auto letter = kLetters.find(text[i]); letter != kLetters.npos) {
      out += kMeanings[letter];
      continue;
    }
    unsigned value = 0;
    const auto first = i;
    for (; i < text.size() && i < first + 3 && text[i] >= '0' && text[i] <= '7'; ++i)
      value = value * 8 + static_cast<unsigned>(text[i] - '0');
    if (i == first || value > 0xff) throw bad;
    out += static_cast<char>(value);
    --i;
  }
  if (out.empty()) throw bad;
  return out;
}

Content::Content(ContentForm form, std::string head, transport::ReadMessage read, std::uint64_t length)
    : form_(std::move(form)), head_(std::move(head)), read_(std::move(read)), length_(length), in_(kBuffer) {}

// `line`: at least its first five bytes, where it has them.
void Content::begin_line(std::string &out, std::string_view line) {
  if (!line_begins_) return;
  if (form_.quote_dot && line.starts_with('.')) out += '.';
  if (form_.quote_from && line.starts_with(kFrom)) out += '>';
}

Content::Piece Content::next(std::string &out) {
  out += std::exchange(head_, {});
  if (offset_ == length_) {
    if (!held_.empty()) {  // not canonical: the last line has no end
      begin_line(out, held_);
      out += std::exchange(held_, {}) + form_.eol;
    }
    if (form_.blank_line_after) out += form_.eol;
    return Piece::End;
  }
  const auto n = read_(offset_, in_.data(), std::min<std::uint64_t>(in_.size(), length_ - offset_));
  if (n <= 0) return Piece::Unreadable;
  offset_ += static_cast<std::uint64_t>(n);
  held_.append(in_.data(), static_cast<std::size_t>(n));

  std::string_view rest = held_;
  for (std::size_t end; (end = rest.find("\r\n")) != rest.npos; line_begins_ = true) {
    begin_line(out, rest);
    out += rest.substr(0, end);
    out += form_.eol;
    rest.remove_prefix(end + 2);
  }
  // A line longer than a piece goes out as it comes, but for a CR whose LF may be next.
  if (rest.size() > kFrom.size()) {
    begin_line(out, rest);
    line_begins_ = false;
    out += rest.substr(0, rest.size() - 1);
    rest.remove_prefix(rest.size() - 1);
  }
  held_ = std::string{rest};
  return Piece::More;
}

}  // namespace mansio::pipe
