#include "plugins/transport-smtp/client/reply.hpp"

#include <charconv>
#include <utility>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

// A run of up to three digits at the front of `text`.
std::optional<std::uint16_t> take_number(std::string_view &text) {
  std::uint16_t value = 0;
  std::size_t n = 0;
  while (n < text.size() && n < 3 && digit(text[n])) value = static_cast<std::uint16_t>(value * 10 + (text[n++] - '0'));
  if (n == 0) return std::nullopt;
  text.remove_prefix(n);
  return value;
}

// Length of the well-formed UTF-8 sequence at the front of `s`, 0 if there is none (RFC 3629).
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const auto lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return tail(1) ? 2 : 0;
  if (lead >= 0xe0 && lead <= 0xef) {
    if (!tail(1) || !tail(2) || (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xed && byte(1) > 0x9f)) return 0;
    return 3;
  }
  if (lead >= 0xf0 && lead <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3) || (lead == 0xf0 && byte(1) < 0x90) || (lead == 0xf4 && byte(1) > 0x8f))
      return 0;
    return 4;
  }
  return 0;
}

}  // namespace

std::string printable(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const auto n = utf8_length(bytes);
    const auto c = static_cast<unsigned char>(bytes[0]);
    if (n == 0 || c == 0x7f || (c < 0x20 && c != '\t')) {
      out += '?';
    } else if (c == '\t') {
      out += ' ';
    } else {
      out += bytes.substr(0, n);
    }
    bytes.remove_prefix(n ? n : 1);
  }
  return out;
}

bool valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = utf8_length(bytes);
    if (!n) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

std::optional<Enhanced> take_enhanced(std::string_view &text, unsigned cls) {
  auto rest = text;
  if (rest.size() < 5 || rest[0] != static_cast<char>('0' + cls) || rest[1] != '.') return std::nullopt;
  rest.remove_prefix(2);
  const auto subject = take_number(rest);
  if (!subject || rest.empty() || rest[0] != '.') return std::nullopt;
  rest.remove_prefix(1);
  const auto detail = take_number(rest);
  if (!detail || (!rest.empty() && rest[0] != ' ')) return std::nullopt;
  text = rest.substr(rest.empty() ? 0 : 1);
  return Enhanced{static_cast<std::uint16_t>(cls), *subject, *detail};
}

bool ReplyParser::line(std::string_view text, bool &last) {
  if (text.size() < 3 || text[0] < '2' || text[0] > '5' || !digit(text[1]) || !digit(text[2])) return false;
  if (text.size() > 3 && text[3] != ' ' && text[3] != '-') return false;
  if (reply_.lines.size() >= kLinesLimit) return false;
  reply_.code = static_cast<std::uint16_t>((text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0'));
  last = text.size() == 3 || text[3] == ' ';
  text.remove_prefix(std::min<std::size_t>(4, text.size()));
  reply_.lines.emplace_back(text);

  const auto enhanced = take_enhanced(text, reply_.code / 100u);
  if (enhanced && !reply_.enhanced.cls) reply_.enhanced = *enhanced;
  if (!text.empty() && reply_.text.size() < kTextLimit) {
    if (!reply_.text.empty()) reply_.text += ' ';
    reply_.text += printable(text.substr(0, kTextLimit - std::min(kTextLimit, reply_.text.size())));
  }
  if (last && reply_.enhanced.cls != reply_.code / 100) reply_.enhanced = {};
  return true;
}

ReplyParser::State ReplyParser::parse(std::string_view bytes, std::size_t &consumed) {
  consumed = 0;
  for (;;) {
    const auto rest = bytes.substr(consumed);
    const auto end = rest.find('\n');
    if (end == std::string_view::npos) return rest.size() > kLineLimit ? State::Bad : State::More;
    if (end > kLineLimit) return State::Bad;
    bool last = false;
    if (!line(rest.substr(0, end > 0 && rest[end - 1] == '\r' ? end - 1 : end), last)) return State::Bad;
    consumed += end + 1;
    if (last) return State::Complete;
  }
}

Reply ReplyParser::take() { return std::exchange(reply_, {}); }

namespace {

// "XFORWARD NAME ADDR PORT", without its first word.
std::uint32_t parse_xforward(std::string_view words) {
  static constexpr std::pair<std::string_view, ForwardAttribute> kKnown[] = {
      {"NAME", kForwardName}, {"ADDR", kForwardAddr},   {"PORT", kForwardPort},    {"PROTO", kForwardProto},
      {"HELO", kForwardHelo}, {"IDENT", kForwardIdent}, {"SOURCE", kForwardSource}};
  std::uint32_t bits = 0;
  while (!words.empty()) {
    const auto word = words.substr(0, words.find_first_of(" \t"));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    for (const auto &[name, bit] : kKnown)
      if (equal_fold(word, name)) bits |= bit;
  }
  return bits;
}

// "AUTH PLAIN LOGIN", and "AUTH=PLAIN LOGIN" of before RFC 2554, without the first word.
void parse_auth(std::string_view words, std::vector<std::string> &mechanisms) {
  while (!words.empty() && mechanisms.size() < kMechanismsLimit) {
    const auto word = words.substr(0, words.find_first_of(" \t"));
    words.remove_prefix(std::min(word.size() + 1, words.size()));
    if (!word.empty()) mechanisms.emplace_back(word);
  }
}

}  // namespace

Capabilities parse_ehlo(const Reply &reply) {
  Capabilities c;
  c.esmtp = true;
  for (std::size_t i = 1; i < reply.lines.size(); ++i) {  // the first line is the server's name
    const std::string_view text = reply.lines[i];
    const auto word = text.substr(0, text.find_first_of(" \t="));
    const auto is = [&](std::string_view keyword) { return equal_fold(word, keyword); };
    if (is("PIPELINING")) c.pipelining = true;
    if (is("CHUNKING")) c.chunking = true;
    if (is("8BITMIME")) c.eight_bit_mime = true;
    if (is("SMTPUTF8")) c.smtputf8 = true;
    if (is("DSN")) c.dsn = true;
    if (is("STARTTLS")) c.starttls = true;
    if (is("REQUIRETLS")) c.require_tls = true;
    if (is("MT-PRIORITY")) c.mt_priority = true;
    if (is("AUTH")) parse_auth(text.substr(std::min(word.size() + 1, text.size())), c.auth);
    if (is("XFORWARD")) c.xforward = parse_xforward(text.substr(std::min(word.size() + 1, text.size())));
    if (is("SIZE")) {
      c.size = true;
      const auto value = text.substr(std::min(word.size() + 1, text.size()));
      // A value that is no number (or overflows) counts as "no limit given".
      if (std::from_chars(value.data(), value.data() + value.size(), c.size_limit).ec != std::errc{}) c.size_limit = 0;
    }
  }
  return c;
}

}  // namespace mansio::smtp
