// A server's bytes as replies: never a crash, always progress, text that is printable; and the same replies whether
// the bytes come at once or one by one.
#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "plugins/transport-smtp/client/reply.hpp"
#include "plugins/transport-smtp/client/text.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::reply {
namespace {

using smtp::Reply;
using smtp::ReplyParser;

std::vector<Reply> replies(std::string_view all, std::size_t step) {
  std::vector<Reply> out;
  ReplyParser parser;
  std::size_t at = 0;
  for (std::size_t end = std::min(step, all.size());;) {
    std::size_t consumed = 0;
    const auto state = parser.parse(all.substr(at, end - at), consumed);
    require(consumed <= end - at);
    at += consumed;
    if (state == ReplyParser::State::Bad) break;
    if (state == ReplyParser::State::Complete) {
      out.push_back(parser.take());
      continue;
    }
    if (end == all.size()) break;
    end = std::min(end + step, all.size());
  }
  return out;
}

}  // namespace

MANSIO_FUZZ_TARGET("reply-fuzz", data, size) {
  if (size > 20000) return 0;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  const auto whole = replies(all, size ? size : 1);
  const auto pieces = replies(all, 7);
  require(whole.size() == pieces.size());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    require(whole[i].code >= 200 && whole[i].code < 600 && whole[i].code == pieces[i].code);
    require(whole[i].text == pieces[i].text && smtp::valid_utf8(whole[i].text));
    require(whole[i].status().cls == whole[i].code / 100);
    for (const char c : whole[i].text) require(static_cast<unsigned char>(c) >= 0x20);
    (void)smtp::parse_ehlo(whole[i]);
  }
  return 0;
}

}  // namespace mansio::fuzz::reply
