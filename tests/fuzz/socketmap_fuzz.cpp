// A socketmap server's bytes: the same netstring whether they come at once or one by one, and an answer that is one of
// three, with text that may go into a log.
#include <cstdint>
#include <string_view>

#include "plugins/lookup-socketmap/protocol.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::socketmap {

MANSIO_FUZZ_TARGET("socketmap-fuzz", data, size) {
  using namespace lookup;
  using State = lookup::Netstring::State;
  if (size > 2000) return 0;
  constexpr std::size_t kLimit = 1000;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  const auto whole = parse_netstring(all, kLimit);
  for (std::size_t n = 0; n <= size; ++n) {
    const auto part = parse_netstring(all.substr(0, n), kLimit);
    if (part.state == State::Partial) continue;
    require(part.state == whole.state && part.content == whole.content && part.size == whole.size);
    break;
  }
  if (whole.state == State::Complete) {
    require(whole.size <= size && whole.content.size() <= kLimit);
    require(all.substr(0, whole.size).ends_with(netstring(whole.content).substr(1)) || all.starts_with('0'));
  }
  for (const auto content : {all, whole.content}) {
    const auto answer = parse_answer(content);
    if (!answer) continue;
    require((answer->outcome == Answer::Outcome::Found) == !answer->values.empty());
    for (const char c : answer->text) require(static_cast<unsigned char>(c) >= 0x20);
  }
  return 0;
}

}  // namespace mansio::fuzz::socketmap
