#include "kernel/mail/dsn_params.hpp"

#include <algorithm>

#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

constexpr std::size_t kMaxEnvid = 100, kMaxOrcpt = 500;
constexpr char kHex[] = "0123456789ABCDEF";

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool xchar(char c) { return c >= 33 && c <= 126 && c != '+' && c != '='; }
bool control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool eight_bit(char c) { return static_cast<unsigned char>(c) > 127; }

Error bad(std::string text) { return {Status::Fail, std::move(text), {5, 5, 4}}; }

void append_utf8(std::string &out, std::uint32_t c) {
  const auto put = [&](std::uint32_t b) { out.push_back(static_cast<char>(b)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6), put(0x80 | (c & 63));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  } else {
    put(0xf0 | c >> 18), put(0x80 | (c >> 12 & 63)), put(0x80 | (c >> 6 & 63)), put(0x80 | (c & 63));
  }
}

// The code point of the well-formed UTF-8 at text[i]; i moves past it.
std::uint32_t next_code_point(std::string_view text, std::size_t &i) {
  const auto lead = static_cast<unsigned char>(text[i++]);
  if (lead < 0x80) return lead;
  const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  std::uint32_t c = lead & (0x3fu >> more);
  for (int k = 0; k < more; ++k) c = c << 6 | (static_cast<unsigned char>(text[i++]) & 63u);
  return c;
}

// "\x{4E2D}" at text[i]; i moves past it. RFC 6533 lets it name any scalar value of 2 to 6 digits.
std::optional<std::uint32_t> embedded(std::string_view text, std::size_t &i) {
  if (text.substr(i, 3) != "\\x{") return std::nullopt;
  const auto close = text.find('}', i);
  if (close == std::string_view::npos || close - i < 5 || close - i > 9) return std::nullopt;
  std::uint32_t c = 0;
  for (auto k = i + 3; k < close; ++k) {
    const int digit = hex(text[k]);
    if (digit < 0) return std::nullopt;
    c = c << 4 | static_cast<std::uint32_t>(digit);
  }
  if (c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff) || c < 0x20 || c == 0x7f) return std::nullopt;
  i = close + 1;
  return c;
}

}  // namespace

std::string xtext_encode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (xchar(c)) {
      out.push_back(c);
    } else {
      const auto u = static_cast<unsigned char>(c);
      out.append({'+', kHex[u >> 4], kHex[u & 15]});
    }
  }
  return out;
}

std::optional<std::string> xtext_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      if (text.size() - i < 3) return std::nullopt;
      const int high_digit = hex(text[i + 1]), low_digit = hex(text[i + 2]);
      if (high_digit < 0 || low_digit < 0) return std::nullopt;
      out.push_back(static_cast<char>(high_digit << 4 | low_digit));
      i += 2;
    } else if (xchar(text[i])) {
      out.push_back(text[i]);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::string utf8_xtext_encode(std::string_view address, bool unitext) {
  if (!valid_utf8(address)) return utf8_xtext_encode(printable(address, false), unitext);
  std::string out;
  for (std::size_t i = 0; i < address.size();) {
    const auto from = i;
    const auto c = next_code_point(address, i);
    if ((c > 127 && unitext) || (c <= 127 && xchar(static_cast<char>(c)) && c != '\\')) {
      out.append(address.substr(from, i - from));
    } else {
      std::string digits;
      for (auto n = c; n != 0 || digits.size() < 2; n >>= 4) digits.insert(digits.begin(), kHex[n & 15]);
      out.append("\\x{").append(digits).append("}");
    }
  }
  return out;
}

std::optional<std::string> utf8_xtext_decode(std::string_view text) {
  if (!valid_utf8(text)) return std::nullopt;
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '\\') {
      const auto c = embedded(text, i);
      if (!c) return std::nullopt;
      append_utf8(out, *c);
    } else if (xchar(text[i]) || eight_bit(text[i])) {
      out.push_back(text[i++]);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

Result<std::uint8_t> parse_notify(std::string_view value) {
  std::uint8_t bits = 0;
  for (std::size_t from = 0; from <= value.size();) {
    const auto to = std::min(value.find(',', from), value.size());
    const auto word = value.substr(from, to - from);
    if (equals_nocase(word, "NEVER")) {
      bits |= kNotifyNever;
    } else if (equals_nocase(word, "SUCCESS")) {
      bits |= kNotifySuccess;
    } else if (equals_nocase(word, "FAILURE")) {
      bits |= kNotifyFailure;
    } else if (equals_nocase(word, "DELAY")) {
      bits |= kNotifyDelay;
    } else {
      return bad("NOTIFY takes NEVER, or a list of SUCCESS, FAILURE and DELAY");
    }
    from = to + 1;
  }
  if ((bits & kNotifyNever) && bits != kNotifyNever) return bad("NOTIFY=NEVER excludes the others");
  return bits;
}

Result<Ret> parse_ret(std::string_view value) {
  if (equals_nocase(value, "FULL")) return Ret::Full;
  if (equals_nocase(value, "HDRS")) return Ret::Hdrs;
  return bad("RET takes FULL or HDRS");
}

Result<std::string> parse_envid(std::string_view value) {
  if (value.empty() || value.size() > kMaxEnvid) return bad("ENVID takes 1 to 100 characters");
  auto decoded = xtext_decode(value);
  if (!decoded || !is_ascii(*decoded) || std::ranges::any_of(*decoded, control)) return bad("ENVID is not valid xtext");
  return std::move(*decoded);
}

Result<std::string> parse_orcpt(std::string_view value, bool smtputf8) {
  if (value.size() > kMaxOrcpt) return bad("ORCPT is longer than 500 characters");
  const auto semicolon = value.find(';');
  if (semicolon == std::string_view::npos || semicolon == 0) return bad("ORCPT takes addr-type;address");
  const auto type = lower(value.substr(0, semicolon));
  // An IANA-registered type is an atom; digits, letters, '-' and '.' are all that was ever registered.
  for (const char c : type) {
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
      return bad("ORCPT's address type is malformed");
  }
  const auto encoded = value.substr(semicolon + 1);
  if (!smtputf8 && !is_ascii(encoded)) return bad("ORCPT is not ASCII and SMTPUTF8 was not requested");
  const bool utf8 = type == "utf-8";
  auto decoded = utf8 ? utf8_xtext_decode(encoded) : xtext_decode(encoded);
  if (!decoded || decoded->empty() || (!utf8 && !is_ascii(*decoded)) || std::ranges::any_of(*decoded, control)) {
    return bad("ORCPT's address is not validly encoded");
  }
  return type + ";" + *decoded;
}

std::string format_notify(std::uint8_t notify) {
  if (notify & kNotifyNever) return "NEVER";
  std::string out;
  const auto add = [&](std::string_view word) {
    if (!out.empty()) out.push_back(',');
    out.append(word);
  };
  if (notify & kNotifySuccess) add("SUCCESS");
  if (notify & kNotifyFailure) add("FAILURE");
  if (notify & kNotifyDelay) add("DELAY");
  return out;
}

std::string format_orcpt(std::string_view orcpt, bool smtputf8) {
  const auto semicolon = orcpt.find(';');
  if (semicolon == std::string_view::npos) return {};
  const auto type = orcpt.substr(0, semicolon), address = orcpt.substr(semicolon + 1);
  const auto encoded = equals_nocase(type, "utf-8") ? utf8_xtext_encode(address, smtputf8) : xtext_encode(address);
  return std::string{type} + ";" + encoded;
}

}  // namespace mansio
