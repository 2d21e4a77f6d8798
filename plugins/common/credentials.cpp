#include "plugins/common/credentials.hpp"

#include <cstddef>
#include <utility>

namespace mansio::sasl {
namespace {

constexpr std::size_t kLongestName = 255;

// Octets of the character that `text` begins with; 0: it is none of UTF-8 (RFC 3629), or a control character.
std::size_t character(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = at(0), second = at(1);
  if (lead < 0x80) return lead < 0x20 || lead == 0x7f ? 0 : 1;
  const std::size_t length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // No longer form than needed, no surrogates, nothing beyond U+10FFFF.
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
      (lead == 0xf4 && second > 0x8f))
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  return length;
}

}  // namespace

std::variant<plugin::Reply, Credentials> hear(const plugin::AuthStep &step, std::optional<std::string> &name) {
  const bool plain = step.mechanism == "PLAIN";
  if (!plain && step.mechanism != "LOGIN") return plugin::wrong_credentials("no mechanism that is offered");
  if (!step.has_response) return plugin::challenge(plain ? "" : "Username:");
  if (!plain && !name) {  // it may come with the command
    name = step.response;
    return plugin::challenge("Password:");
  }
  Credentials given;
  if (plain) {
    auto message = plugin::parse_plain(step.response);
    if (!message) return plugin::wrong_credentials("no message of PLAIN");
    if (!message->identity.empty() && message->identity != message->user)
      return plugin::wrong_credentials("nobody may act for others");
    given = {std::move(message->user), std::move(message->password)};
  } else {
    given = {*name, step.response};
  }
  if (!is_name(given.user)) return plugin::wrong_credentials("no name");
  return given;
}

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  while (!text.empty()) {
    const auto n = character(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

}  // namespace mansio::sasl
