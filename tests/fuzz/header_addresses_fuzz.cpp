// Addresses in a header field, which anybody wrote: in order, apart from each other, and addresses.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/mail/address.hpp"
#include "kernel/mail/header_addresses.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::header_addresses {

MANSIO_FUZZ_TARGET("header-addresses-fuzz", data, size) {
  const std::string_view body{reinterpret_cast<const char *>(data), size};
  std::size_t end = 0;
  for (const auto &span : find_addresses(body)) {
    if (span.at < end || span.length == 0 || span.length > size || span.at > size - span.length) std::abort();
    end = span.at + span.length;
    if (!parse_mailbox(body.substr(span.at, span.length), {.smtputf8 = true, .strict = false})) std::abort();
  }
  return 0;
}

}  // namespace mansio::fuzz::header_addresses
