// ContentDecoder: message content as a client sends it after DATA or in BDAT chunks, made canonical: every line
// ends in CRLF, no other CR or LF is left, dots are unstuffed. Pure and incremental; the hot path of the server.
//
// Only CRLF.CRLF ends DATA (RFC 5321 section 4.1.1.4), where the command's own CRLF counts as the first. What
// smuggling lives on is decided as Postfix 3.9 decides it:
//   bare LF   ends a line of content, never the content; `bare_lf()` reports it, so that the caller can refuse the
//             message (smtpd_forbid_bare_newline = reject) once it has read all of it;
//   bare CR   becomes a space (cleanup_replace_stray_cr_lf).
// So the bytes given out never hold a line break that some next hop might read in another way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::ingress {

class ContentDecoder {
 public:
  enum class Framing : std::uint8_t { Data, Bdat };

  ContentDecoder(Framing framing, std::uint64_t line_length_limit)
      : framing_(framing), line_limit_(line_length_limit) {}

  // Decodes from the front of `in` and removes what it used: all of it, unless the end of DATA lies inside. The
  // result is borrowed from `in` or from this object, until the next call.
  std::string_view feed(std::string_view &in);
  // BDAT LAST: ends an unfinished last line.
  std::string_view finish();

  bool ended() const { return state_ == State::Ended; }
  bool bare_lf() const { return bare_lf_; }         // some line ended in a bare LF
  bool bare_cr() const { return bare_cr_; }         // some CR was replaced
  bool line_too_long() const { return too_long_; }  // some line, without its end, was over the limit

 private:
  enum class State : std::uint8_t { LineStart, Text, Cr, Dot, DotCr, Ended };

  void step(char c);
  void end_line(bool with_crlf);
  const char *scan(const char *p, const char *end, const char *&run);
  void count(std::uint64_t n) {
    line_ += n;
    if (line_ > line_limit_) too_long_ = true;
  }

  Framing framing_;
  State state_ = State::LineStart;
  bool after_crlf_ = true;  // the line before this one ended in CRLF, so a lone dot may end DATA
  bool bare_lf_ = false, bare_cr_ = false, too_long_ = false;
  std::uint64_t line_limit_, line_ = 0;
  std::string out_;
};

// First CR or LF in [p, end), or `end`.
const char *find_line_break(const char *p, const char *end);

}  // namespace mansio::ingress
