// Conversion to 7 bit of any message: what comes out is 7-bit and canonical, and converting it again changes nothing.
#include <cstdint>
#include <string>

#include "plugins/transport-smtp/client/content.hpp"
#include "plugins/transport-smtp/client/mime.hpp"
#include "plugins/transport-smtp/client/text.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::mime {

MANSIO_FUZZ_TARGET("mime-fuzz", data, size) {
  using namespace smtp;
  if (size > 20000) return 0;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  std::string text, stuffed;
  ContentFilter filter{false}, stuffer{true};
  filter.add(all, text);
  filter.finish(text);
  require(is_canonical(text));
  stuffer.add(all, stuffed);
  stuffer.finish(stuffed);
  require(is_canonical(stuffed) && stuffed.find("\r\n.\r\n") == std::string::npos && !stuffed.starts_with(".\r\n"));

  const auto converted = convert_to_seven_bit(text);
  if (!converted.ok) {
    require(has_eight_bit(text));
    return 0;
  }
  require(!has_eight_bit(converted.message) && is_canonical(converted.message));
  require(convert_to_seven_bit(converted.message).message == converted.message);
  return 0;
}

}  // namespace mansio::fuzz::mime
