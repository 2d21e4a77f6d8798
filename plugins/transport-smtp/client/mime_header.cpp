// RFC 2047 encoded-words for header fields that hold raw 8-bit octets. Where the grammar of a field leaves no room
// for an encoded-word (addresses, message ids, parameters), encoding would change its meaning, so it is refused.
#include <algorithm>
#include <cstdint>

#include "plugins/transport-smtp/client/mime.hpp"
#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

enum class Grammar { Unstructured, Addresses, Other };

Grammar grammar_of(std::string_view name) {
  for (const auto known : {"From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Resent-From", "Resent-Sender", "Resent-To",
                           "Resent-Cc", "Resent-Bcc", "Disposition-Notification-To", "Errors-To"})
    if (equal_fold(name, known)) return Grammar::Addresses;
  for (const auto known :
       {"Received", "Message-ID", "References", "In-Reply-To", "Date", "Return-Path", "Resent-Message-ID",
        "Resent-Date", "MIME-Version", "Content-Type", "Content-ID", "Content-Transfer-Encoding", "Content-Disposition",
        "DKIM-Signature", "Authentication-Results", "ARC-Seal", "ARC-Message-Signature", "Delivered-To"})
    if (equal_fold(name, known)) return Grammar::Other;
  return Grammar::Unstructured;  // Subject, Comments, Content-Description, X-anything
}

// `text` as encoded-words of at most 75 columns, folded; a character of UTF-8 is never split between two.
void encoded_words(std::string_view text, std::string &out) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  const std::string start = std::string{"=?"} + (valid_utf8(text) ? "utf-8" : "unknown-8bit") + "?Q?";
  const bool utf8 = valid_utf8(text);
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t n = 1;
    if (utf8)
      while (i + n < text.size() && (static_cast<unsigned char>(text[i + n]) & 0xc0) == 0x80) ++n;
    if (column == 0) {
      out += start;
      column = start.size();
    } else if (column + 3 * n > 73) {
      out += "?=\r\n " + start;
      column = start.size();
    }
    for (const char c : text.substr(i, n)) {
      const auto u = static_cast<unsigned char>(c);
      if (digit(c) || (lower(c) >= 'a' && lower(c) <= 'z')) {
        out += c;
        ++column;
      } else if (c == ' ') {
        out += '_';
        ++column;
      } else {
        out += '=';
        out += kHex[u >> 4];
        out += kHex[u & 15];
        column += 3;
      }
    }
    i += n;
  }
  if (column) out += "?=";
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Words with 8-bit octets become encoded-words; a run of them becomes one, since space between two is not shown.
std::string unstructured(std::string_view value) {
  std::string out;
  std::size_t i = 0;
  const auto word_end = [&](std::size_t from) {
    while (from < value.size() && !is_space(value[from])) ++from;
    return from;
  };
  while (i < value.size()) {
    if (is_space(value[i])) {
      out += value[i++];
      continue;
    }
    auto end = word_end(i);
    if (!has_eight_bit(value.substr(i, end - i))) {
      out += value.substr(i, end - i);
      i = end;
      continue;
    }
    for (;;) {
      auto next = end;
      while (next < value.size() && is_space(value[next])) ++next;
      const auto next_end = word_end(next);
      if (next == next_end || !has_eight_bit(value.substr(next, next_end - next))) break;
      end = next_end;
    }
    std::string run;
    for (const char c : value.substr(i, end - i))
      if (c != '\r' && c != '\n') run += c;
    encoded_words(run, out);
    i = end;
  }
  return out;
}

// Display names and comments may be encoded, nothing else; "" = something else has 8-bit octets.
std::string addresses(std::string_view value) {
  std::string out;
  for (std::size_t i = 0; i < value.size();) {
    const char c = value[i];
    if (c == '"' || c == '(') {
      const char close = c == '"' ? '"' : ')';
      int depth = 1;
      auto end = i + 1;
      for (; end < value.size() && depth > 0; ++end) {
        if (value[end] == '\\' && end + 1 < value.size()) {
          ++end;
        } else if (value[end] == close) {
          --depth;
        } else if (c == '(' && value[end] == '(') {
          ++depth;
        }
      }
      if (depth > 0) return {};
      const auto whole = value.substr(i, end - i);
      const bool local_part = c == '"' && end < value.size() && value[end] == '@';
      if (!has_eight_bit(whole)) {
        out += whole;
      } else if (local_part) {
        return {};
      } else {
        std::string inside;
        for (std::size_t k = 1; k + 1 < whole.size(); ++k) {
          if (whole[k] == '\\' && k + 2 < whole.size()) ++k;
          if (whole[k] != '\r' && whole[k] != '\n') inside += whole[k];
        }
        if (c == '(') out += '(';
        encoded_words(inside, out);
        if (c == '(') out += ')';
      }
      i = end;
      continue;
    }
    if (c == '<') {
      const auto end = std::min(value.find('>', i), value.size() - 1) + 1;
      const auto path = value.substr(i, end - i);
      if (has_eight_bit(path)) return {};
      out += path;
      i = end;
      continue;
    }
    if (is_space(c) || c == ',' || c == ';' || c == ':' || c == '>') {
      out += c;
      ++i;
      continue;
    }
    const auto atom_end = [&](std::size_t from) {
      while (from < value.size() && !is_space(value[from]) &&
             std::string_view{",;:<>\"("}.find(value[from]) == std::string_view::npos)
        ++from;
      return from;
    };
    auto end = atom_end(i);
    while (has_eight_bit(value.substr(i, end - i))) {  // a run of them is one, as above
      auto next = end;
      while (next < value.size() && is_space(value[next])) ++next;
      const auto next_end = atom_end(next);
      if (!has_eight_bit(value.substr(next, next_end - next))) break;
      end = next_end;
    }
    std::string word;
    for (const char w : value.substr(i, end - i))
      if (w != '\r' && w != '\n') word += w;
    if (!has_eight_bit(word)) {
      out += word;
    } else if (word.find('@') != std::string_view::npos) {
      return {};
    } else {
      encoded_words(word, out);
      // An encoded-word stands by itself (RFC 2047 section 5).
      if (end < value.size() && (value[end] == '<' || value[end] == '(' || value[end] == '"')) out += ' ';
    }
    i = end;
  }
  return out;
}

}  // namespace

std::string encode_header(std::string_view field) {
  const auto colon = field.find(':');
  if (colon == std::string_view::npos || has_eight_bit(field.substr(0, colon))) return {};
  const auto value = field.substr(colon + 1);
  std::string encoded;
  switch (grammar_of(trimmed(field.substr(0, colon)))) {
    case Grammar::Unstructured:
      encoded = unstructured(value);
      break;
    case Grammar::Addresses:
      encoded = addresses(value);
      break;
    case Grammar::Other:
      return {};
  }
  if (encoded.empty() || has_eight_bit(encoded)) return {};
  return std::string{field.substr(0, colon + 1)} + encoded;
}

}  // namespace mansio::smtp
