// Framing of DATA and BDAT: whatever comes in, the content is canonical, DATA ends at the first CRLF.CRLF and
// nowhere else, and the outcome does not depend on how the bytes were split into reads.
// The first byte picks the framing (bit 0) and the size of the reads.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "kernel/ingress/data.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::data {
namespace {

using ingress::ContentDecoder;

struct Outcome {
  std::string content;
  std::size_t used = 0;
  bool ended = false, bare_lf = false, bare_cr = false, too_long = false;
  bool operator==(const Outcome &) const = default;
};

Outcome decode(std::string_view in, std::size_t step, ContentDecoder::Framing framing) {
  ContentDecoder d{framing, 100};
  Outcome o;
  while (o.used < in.size() && !d.ended()) {
    auto piece = in.substr(o.used, step);
    const auto size = piece.size();
    o.content += d.feed(piece);
    if (!piece.empty() && !d.ended()) std::abort();
    o.used += size - piece.size();
  }
  o.ended = d.ended();
  if (!o.ended) o.content += d.finish();
  o.bare_lf = d.bare_lf();
  o.bare_cr = d.bare_cr();
  o.too_long = d.line_too_long();
  return o;
}

}  // namespace

MANSIO_FUZZ_TARGET("data-fuzz", data, size) {
  if (size == 0) return 0;
  const auto framing = (data[0] & 1) != 0 ? ContentDecoder::Framing::Bdat : ContentDecoder::Framing::Data;
  const std::size_t step = (data[0] >> 1) + 1u;
  const std::string_view in{reinterpret_cast<const char *>(data) + 1, size - 1};
  const auto whole = decode(in, in.size() + 1, framing);
  if (!(decode(in, step, framing) == whole)) std::abort();

  const std::string with_start = "\r\n" + std::string{in};
  const auto end = with_start.find("\r\n.\r\n");
  const bool ends = framing == ContentDecoder::Framing::Data && end != std::string::npos;
  if (whole.ended != ends) std::abort();
  if (whole.used != (ends ? end + 3 : in.size())) std::abort();

  for (std::size_t i = 0; i < whole.content.size(); ++i) {
    const char c = whole.content[i];
    if (c == '\r' && (i + 1 == whole.content.size() || whole.content[i + 1] != '\n')) std::abort();
    if (c == '\n' && (i == 0 || whole.content[i - 1] != '\r')) std::abort();
  }
  if (!whole.content.empty() && !whole.content.ends_with("\r\n")) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::data
