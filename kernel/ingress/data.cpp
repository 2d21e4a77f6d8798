// The decoder has two gears. `scan` runs over whole lines and remembers only where a run of bytes that may be
// passed on as they are began; in content without dots at line starts and stray breaks that is all of the input,
// which is then handed out without a copy. `step` is the plain state machine for everything else: dots, stray
// breaks and the seams between reads.
#include "kernel/ingress/data.hpp"

#include <bit>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace mansio::ingress {

const char *find_line_break(const char *p, const char *end) {
#ifdef __SSE2__
  const __m128i cr = _mm_set1_epi8('\r'), lf = _mm_set1_epi8('\n');
  for (; end - p >= 16; p += 16) {
    __m128i block;
    std::memcpy(&block, p, sizeof block);
    const auto hits =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf))));
    if (hits) return p + std::countr_zero(hits);
  }
#endif
  while (p != end && *p != '\r' && *p != '\n') ++p;
  return p;
}

void ContentDecoder::end_line(bool with_crlf) {
  out_ += "\r\n";
  line_ = 0;
  after_crlf_ = with_crlf;
  if (!with_crlf) bare_lf_ = true;
  state_ = State::LineStart;
}

void ContentDecoder::step(char c) {
  switch (state_) {
    case State::LineStart:
      if (c == '.' && framing_ == Framing::Data) {
        state_ = State::Dot;  // stuffed, or the end: in neither case content
        return;
      }
      break;
    case State::Dot:
      if (c == '\r') {
        state_ = State::DotCr;
        return;
      }
      break;
    case State::DotCr:
      if (c == '\n') {
        if (after_crlf_)
          state_ = State::Ended;
        else
          end_line(true);
        return;
      }
      [[fallthrough]];
    case State::Cr:
      if (c == '\n') return end_line(true);
      out_ += ' ';
      bare_cr_ = true;
      count(1);
      break;
    case State::Text:
      break;
    case State::Ended:
      return;
  }
  if (c == '\n') return end_line(false);
  if (c == '\r') {
    state_ = State::Cr;
    return;
  }
  state_ = State::Text;
  out_ += c;
  count(1);
}

// From LineStart or Text: passes over what is canonical already and returns the first byte that needs `step`.
const char *ContentDecoder::scan(const char *p, const char *end, const char *&run) {
  run = p;
  while (p != end) {
    if (state_ == State::LineStart && *p == '.' && framing_ == Framing::Data) return p;
    const char *stop = find_line_break(p, end);
    count(static_cast<std::uint64_t>(stop - p));
    if (stop != p) state_ = State::Text;
    if (stop == end || *stop != '\r' || stop + 1 == end || stop[1] != '\n') return stop;
    p = stop + 2;
    line_ = 0;
    after_crlf_ = true;
    state_ = State::LineStart;
  }
  return p;
}

std::string_view ContentDecoder::feed(std::string_view &in) {
  out_.clear();
  const char *p = in.data(), *const end = p + in.size();
  while (p != end && state_ != State::Ended) {
    if (state_ == State::LineStart || state_ == State::Text) {
      const char *run = nullptr;
      const char *const stop = scan(p, end, run);
      const std::string_view verbatim{run, static_cast<std::size_t>(stop - run)};
      if (stop == end && out_.empty()) {
        in.remove_prefix(in.size());
        return verbatim;
      }
      out_ += verbatim;
      p = stop;
      if (p == end) break;
    }
    step(*p++);
  }
  in.remove_prefix(static_cast<std::size_t>(p - in.data()));
  return out_;
}

std::string_view ContentDecoder::finish() {
  out_.clear();
  if (state_ == State::Cr) {
    out_ += ' ';
    bare_cr_ = true;
    state_ = State::Text;
  }
  if (state_ == State::Text) out_ += "\r\n";
  state_ = State::Ended;
  return out_;
}

}  // namespace mansio::ingress
