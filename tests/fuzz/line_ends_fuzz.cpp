// Line ends of mail that plugins make: whatever they give, in whatever pieces, every line ends in CRLF and nowhere else
// is a CR or an LF; and what is canonical is left as it is.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernel/mail/line_ends.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::line_ends {

namespace {
std::string canonical(std::string_view text, std::size_t piece) {
  LineEnds lines;
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += piece) out += lines.feed(text.substr(at, piece));
  return out + lines.finish();
}
}  // namespace

MANSIO_FUZZ_TARGET("line-ends-fuzz", data, size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char *>(data) + 1, size - 1};
  const auto out = canonical(text, 1u + data[0]);
  if (out != canonical(text, text.size() + 1)) std::abort();
  if (out != canonical(out, 7)) std::abort();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\r' && (i + 1 == out.size() || out[i + 1] != '\n')) std::abort();
    if (out[i] == '\n' && (i == 0 || out[i - 1] != '\r')) std::abort();
  }
  if (!out.empty() && out.back() != '\n') std::abort();
  return 0;
}

}  // namespace mansio::fuzz::line_ends
