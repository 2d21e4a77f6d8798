// What a store gives back of a message, which may be anything: a head that is believed is the one that was written,
// recipients that are done are some that there are, and a name has one form.
#include <algorithm>
#include <cstdint>
#include <string_view>

#include "kernel/mail/store_key.hpp"
#include "kernel/mail/stored_copy.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::stored_copy {

MANSIO_FUZZ_TARGET("stored-copy-fuzz", data, size) {
  const std::string_view bytes{reinterpret_cast<const char *>(data), size};
  if (const auto head = decode_copy_head(bytes)) require(encode_copy_head(*head) == bytes.substr(0, kCopyHead));
  for (const std::size_t recipients : {0, 1, 7, 1000}) {
    const auto done = decode_done(bytes, recipients);
    if (!done) continue;
    require(done->size() == recipients);
    require(decode_done(encode_done(*done), recipients) == done);
    const auto some = decode_done(encode_done(*done, 8), recipients);
    require(some && std::equal(some->begin(), some->end(), done->begin(), [](bool a, bool b) { return !a || b; }));
  }
  if (const auto key = parse_store_key(bytes)) require(to_string(*key) == bytes);
  return 0;
}

}  // namespace mansio::fuzz::stored_copy
