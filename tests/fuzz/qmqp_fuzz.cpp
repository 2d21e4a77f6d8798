// A QMQP request in pieces: the first octet says how large they are. Whatever the pieces, the reader tells the same,
// and what it tells, written as a request, is the request that it read.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/mail/qmqp.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::qmqp {
namespace {

struct Told {
  std::string content;
  std::vector<std::string> addresses;
  QmqpReader::Part last = QmqpReader::Part::More;
  std::size_t used = 0;
  bool operator==(const Told &) const = default;
};

Told read(std::string_view text, std::size_t piece) {
  Told told;
  QmqpReader reader{300};
  while (!text.empty()) {
    auto in = text.substr(0, piece);
    const auto had = in.size();
    QmqpReader::Event event;
    do {
      event = reader.next(in);
      if (event.part == QmqpReader::Part::Content) told.content += event.bytes;
      if (event.part == QmqpReader::Part::Sender || event.part == QmqpReader::Part::Recipient) {
        if (event.bytes.size() > 300) std::abort();
        told.addresses.emplace_back(event.bytes);
      }
      told.last = event.part;
      if (event.part == QmqpReader::Part::Malformed || event.part == QmqpReader::Part::TooLong) {
        told.used = 0;
        return told;
      }
    } while (event.part != QmqpReader::Part::More && event.part != QmqpReader::Part::End);
    told.used += had - in.size();
    if (event.part == QmqpReader::Part::End) return told;
    text.remove_prefix(had);
  }
  return told;
}

}  // namespace

MANSIO_FUZZ_TARGET("qmqp-fuzz", data, size) {
  if (size == 0) return 0;
  const std::string_view text{reinterpret_cast<const char *>(data) + 1, size - 1};
  const auto whole = read(text, text.size());
  if (!(read(text, data[0] % 16 + 1u) == whole)) std::abort();
  if (whole.last == QmqpReader::Part::End) {
    std::string inner, again;
    append_netstring(inner, whole.content);
    for (const auto &address : whole.addresses) append_netstring(inner, address);
    append_netstring(again, inner);
    if (again != text.substr(0, whole.used)) std::abort();
  }
  const auto one = take_netstring(text, 1000);
  if (one.state == Netstring::State::Complete && one.bytes.size() > 1000) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::qmqp
