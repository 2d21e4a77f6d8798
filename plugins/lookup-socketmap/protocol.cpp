#include "plugins/lookup-socketmap/protocol.hpp"

#include <charconv>

namespace mansio::lookup {
namespace {

// What a server says goes into the log.
std::string printable(std::string_view text) {
  std::string out{text.substr(0, 500)};
  for (auto &c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return out;
}

}  // namespace

std::string netstring(std::string_view content) {
  return std::to_string(content.size()) + ':' + std::string{content} + ',';
}

Netstring parse_netstring(std::string_view bytes, std::size_t limit) {
  using State = Netstring::State;
  // No length that is allowed has more digits.
  constexpr std::size_t kDigits = 9;
  const auto colon = bytes.find(':');
  const auto digits = bytes.substr(0, colon);
  if (digits.size() > kDigits || digits.find_first_not_of("0123456789") != std::string_view::npos)
    return {State::Bad, {}, 0};
  if (colon == std::string_view::npos) return {State::Partial, {}, 0};
  std::size_t length = 0;
  if (digits.empty() || std::from_chars(digits.data(), digits.data() + digits.size(), length).ec != std::errc{} ||
      length > limit)
    return {State::Bad, {}, 0};
  const auto rest = bytes.substr(colon + 1);
  if (rest.size() <= length) return {State::Partial, {}, 0};
  if (rest[length] != ',') return {State::Bad, {}, 0};
  return {State::Complete, rest.substr(0, length), colon + 1 + length + 1};
}

std::optional<Answer> parse_answer(std::string_view content) {
  const auto space = content.find(' ');
  const auto word = content.substr(0, space);
  const auto rest = space == std::string_view::npos ? std::string_view{} : content.substr(space + 1);
  // Postfix takes an empty value for none.
  if (word == "OK") return rest.empty() ? Answer::not_found() : Answer::found(std::string{rest});
  if (word == "NOTFOUND") return Answer::not_found();
  if (word == "TEMP" || word == "TIMEOUT" || word == "PERM")
    return Answer::try_later("the server says: " + printable(content));
  return std::nullopt;
}

}  // namespace mansio::lookup
