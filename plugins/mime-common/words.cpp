#include "plugins/mime-common/words.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

#include "plugins/common/ascii.hpp"
#include "plugins/mime-common/decoder.hpp"

namespace mansio::mime {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Octets of the character that `text` begins with; 0: it is none of UTF-8 (RFC 3629).
std::size_t utf8_character(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = at(0), second = at(1);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xc2 || lead > 0xf4 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  // No longer form than needed, no surrogates, nothing beyond U+10FFFF.
  if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) || (lead == 0xf0 && second < 0x90) ||
      (lead == 0xf4 && second > 0x8f))
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((at(i) & 0xc0) != 0x80) return 0;
  return length;
}

void add_character(std::string &out, unsigned c) {  // below U+10000
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

// 0x80 to 0x9f, which those who say ISO 8859-1 mean as well; 0: none.
constexpr std::uint16_t kWindows1252[32] = {0x20ac, 0,      0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                            0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017d, 0,
                                            0,      0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                            0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0,      0x017e, 0x0178};

unsigned latin9(unsigned c) {
  switch (c) {
    case 0xa4:
      return 0x20ac;
    case 0xa6:
      return 0x160;
    case 0xa8:
      return 0x161;
    case 0xb4:
      return 0x17d;
    case 0xb8:
      return 0x17e;
    case 0xbc:
      return 0x152;
    case 0xbd:
      return 0x153;
    case 0xbe:
      return 0x178;
    default:
      return c;
  }
}

enum class Charset { Utf8, Western, Latin9, Other };

Charset charset_of(std::string_view name) {
  const auto lower = ascii::lower(name);
  if (lower.empty() || lower == "utf-8" || lower == "utf8" || lower == "us-ascii" || lower == "ascii")
    return Charset::Utf8;
  if (lower == "iso-8859-1" || lower == "latin1" || lower == "windows-1252" || lower == "cp1252")
    return Charset::Western;
  return lower == "iso-8859-15" || lower == "latin9" ? Charset::Latin9 : Charset::Other;
}

struct Word {
  std::string charset, octets;
  std::size_t size = 0;  // in the text
};

// "=?charset?B?text?=", perhaps with a language ("=?charset*en?..."), at `at`. `end` is where the next "?=" is, looked
// for once: otherwise many beginnings without an end would take time by the square.
std::optional<Word> word_at(std::string_view text, std::size_t at, std::size_t &end) {
  const auto first = text.find('?', at + 2);
  if (first == text.npos || first == at + 2 || first + 2 >= text.size() || text[first + 2] != '?') return std::nullopt;
  const char how = ascii::lower(text[first + 1]);
  if (how != 'b' && how != 'q') return std::nullopt;
  const auto begin = first + 3;
  if (end != text.npos && end < begin) end = text.find("?=", begin);
  if (end == text.npos) return std::nullopt;
  Word word;
  const auto name = text.substr(at + 2, first - at - 2);
  word.charset = ascii::lower(name.substr(0, name.find('*')));
  word.size = end + 2 - at;
  std::string encoded{text.substr(begin, end - begin)};
  if (how == 'q')
    for (auto &c : encoded)
      if (c == '_') c = ' ';
  // Blanks at the end of it are not those at the end of a line.
  if (how == 'q') encoded += '=';
  Decoder decoder{how == 'b' ? Encoding::Base64 : Encoding::QuotedPrintable};
  decoder.add(encoded, word.octets);
  decoder.finish(word.octets);
  return word;
}

}  // namespace

std::string to_utf8(std::string_view charset, std::string_view octets) {
  const auto known = charset_of(charset);
  std::string out;
  for (std::size_t i = 0; i < octets.size();) {
    const unsigned c = static_cast<unsigned char>(octets[i]);
    if (c < 0x80 || known == Charset::Utf8) {
      const auto length = utf8_character(octets.substr(i));
      out += length == 0 ? kReplacement : octets.substr(i, length);
      i += length == 0 ? 1 : length;
      continue;
    }
    unsigned character = c;
    if (known == Charset::Western && c < 0xa0) character = kWindows1252[c - 0x80];
    if (known == Charset::Latin9) character = latin9(c);
    if (known == Charset::Other || character == 0)
      out += kReplacement;
    else
      add_character(out, character);
    ++i;
  }
  return out;
}

std::string decode_words(std::string_view text) {
  std::string out;
  std::string charset, octets;  // of the words before, which share characters where they have the same charset
  bool behind_word = false;
  const auto flush = [&] {
    out += to_utf8(charset, octets);
    octets.clear();
  };
  std::size_t at = 0, end = 0;
  while (at < text.size()) {
    const auto next = text.find("=?", at);
    const auto between = text.substr(at, next == text.npos ? text.npos : next - at);
    auto word = next == text.npos ? std::nullopt : word_at(text, next, end);
    const bool joined = word && behind_word && between.find_first_not_of(" \t\r\n") == between.npos;
    if (!joined) {
      flush();
      out += to_utf8("", between);
    }
    if (word) {
      if (word->charset != charset) flush();
      charset = std::move(word->charset);
      octets += word->octets;
      at = next + word->size;
      behind_word = true;
    } else if (next == text.npos) {
      break;
    } else {
      flush();
      out += text.substr(next, 2);
      at = next + 2;
      behind_word = false;
    }
  }
  flush();
  return out;
}

}  // namespace mansio::mime
