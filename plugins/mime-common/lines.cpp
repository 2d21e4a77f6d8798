#include "plugins/mime-common/lines.hpp"

#include <cstring>

namespace mansio::mime {

bool Lines::next(Source &source, LinePiece &piece) {
  std::size_t searched = 0;
  const char *end = nullptr;
  for (;;) {
    end = static_cast<const char *>(std::memchr(buffer_.data() + from_ + searched, '\n', to_ - from_ - searched));
    searched = to_ - from_;
    if (end || searched == buffer_.size() || !fill(source)) break;
  }
  if (from_ == to_) return false;
  const auto length = end ? static_cast<std::size_t>(end - (buffer_.data() + from_)) + 1 : to_ - from_;
  piece.text = {buffer_.data() + from_, length};
  piece.begin = begin_ + from_;
  piece.first = line_begins_;
  piece.last = end || length < buffer_.size();
  line_begins_ = piece.last;
  from_ += length;
  return true;
}

bool Lines::fill(Source &source) {
  if (from_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + from_, to_ - from_);
    begin_ += from_;
    to_ -= from_;
    from_ = 0;
  }
  const auto got = source.read(begin_ + to_, buffer_.data() + to_, buffer_.size() - to_);
  to_ += got;
  return got != 0;
}

}  // namespace mansio::mime
