// XFORWARD's attributes: whatever they are, what is known of a client afterwards is fit for a log and a command line,
// and a refusal changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "kernel/ingress/xforward.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::xforward {
namespace {

bool fit(std::string_view text) {
  for (const char c : text)
    if (c < 0x20 || c > 0x7e) return false;
  return text.size() <= 255;
}

}  // namespace

MANSIO_FUZZ_TARGET("xforward-fuzz", data, size) {
  Origin origin;
  origin.name = "before.example";
  const auto before = origin;
  const auto bad = ingress::read_xforward({reinterpret_cast<const char *>(data), size}, origin);
  if (bad && (!(origin == before) || !fit(bad->text) || bad->code != 501)) std::abort();
  for (const auto *text : {&origin.name, &origin.address, &origin.helo, &origin.protocol, &origin.ident})
    if (!fit(*text)) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::xforward
