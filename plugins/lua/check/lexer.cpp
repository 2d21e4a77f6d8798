#include "plugins/lua/check/lexer.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace mansio::lua {
namespace {

constexpr std::array<std::string_view, 22> kKeywords{
    "and", "break", "do",  "else", "elseif", "end",    "false",  "for",  "function", "goto",  "if",
    "in",  "local", "nil", "not",  "or",     "repeat", "return", "then", "true",     "until", "while"};
// The longer ones first.
constexpr std::array<std::string_view, 33> kSymbols{"...", "..", "==", "~=", "<=", ">=", "//", "::", "<<", ">>", "+",
                                                    "-",   "*",  "/",  "%",  "^",  "#",  "&",  "~",  "|",  "<",  ">",
                                                    "=",   "(",  ")",  "{",  "}",  "[",  "]",  ";",  ":",  ",",  "."};

constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
constexpr bool is_figure(char c) { return c >= '0' && c <= '9'; }
constexpr int hex_figure(char c) {
  if (is_figure(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}
constexpr bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// As Lua does, which goes beyond Unicode: up to six octets.
void append_utf8(std::string &to, std::uint32_t code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
    return;
  }
  std::array<char, 6> tail{};
  std::size_t n = 0;
  std::uint32_t room = 0x3f;  // what the first octet holds
  do {
    tail.at(n++) = static_cast<char>(0x80 | (code & 0x3f));
    code >>= 6;
    room >>= 1;
  } while (code > room);
  to += static_cast<char>((~room << 1) | code);
  while (n > 0) to += tail.at(--n);
}

}  // namespace

// Any of "\n", "\r", "\r\n" and "\n\r".
void Lexer::new_line() {
  const char first = peek();
  ++at_;
  if (!over() && is_line_end(peek()) && peek() != first) ++at_;
  ++line_;
}

bool Lexer::skip_blanks() {
  while (!over()) {
    const char c = peek();
    if (is_line_end(c)) {
      new_line();
    } else if (c == ' ' || c == '\t' || c == '\v' || c == '\f') {
      ++at_;
    } else if (c == '-' && peek(1) == '-') {
      at_ += 2;
      if (const auto bracket = long_bracket(); bracket != 0) {
        if (!read_long(bracket, nullptr)) return false;
      } else {
        while (!over() && !is_line_end(peek())) ++at_;
      }
    } else {
      break;
    }
  }
  return true;
}

std::size_t Lexer::long_bracket() const {
  if (peek() != '[') return 0;
  std::size_t n = 1;
  while (peek(n) == '=') ++n;
  return peek(n) == '[' ? n + 1 : 0;
}

bool Lexer::read_long(std::size_t bracket, std::string *to) {
  at_ += bracket;
  if (!over() && is_line_end(peek())) new_line();  // which does not count
  while (!over()) {
    const char c = peek();
    if (c == ']') {
      std::size_t n = 1;
      while (peek(n) == '=') ++n;
      if (n + 1 == bracket && peek(n) == ']') {
        at_ += bracket;
        return true;
      }
    }
    if (is_line_end(c)) {
      new_line();
      if (to) *to += '\n';
    } else {
      ++at_;
      if (to) *to += c;
    }
  }
  return false;
}

bool Lexer::read_quoted(std::string &to) {
  const char quote = peek();
  ++at_;
  while (!over() && peek() != quote) {
    const char c = peek();
    if (is_line_end(c)) return false;
    ++at_;
    if (c != '\\')
      to += c;
    else if (!read_escape(to))
      return false;
  }
  if (over()) return false;
  ++at_;
  return true;
}

// Behind the backslash.
bool Lexer::read_escape(std::string &to) {
  constexpr std::string_view kNames{"abfnrtv\\\"'"}, kValues{"\a\b\f\n\r\t\v\\\"'"};
  if (over()) return false;
  const char c = peek();
  if (is_line_end(c)) {
    new_line();
    to += '\n';
    return true;
  }
  if (is_figure(c)) {
    int value = 0;
    for (int i = 0; i < 3 && is_figure(peek()); ++i, ++at_) value = value * 10 + (peek() - '0');
    if (value > 255) return false;
    to += static_cast<char>(value);
    return true;
  }
  ++at_;
  if (const auto name = kNames.find(c); name != kNames.npos) {
    to += kValues[name];
    return true;
  }
  if (c == 'x') {
    const int high = hex_figure(peek()), low = hex_figure(peek(1));
    if (high < 0 || low < 0) return false;
    to += static_cast<char>(high * 16 + low);
    at_ += 2;
    return true;
  }
  if (c == 'u') return read_code_point(to);
  if (c != 'z') return false;
  while (!over() && (is_line_end(peek()) || std::string_view{" \t\v\f"}.find(peek()) != std::string_view::npos))
    if (is_line_end(peek()))
      new_line();
    else
      ++at_;
  return true;
}

// "{7A}".
bool Lexer::read_code_point(std::string &to) {
  if (peek() != '{' || hex_figure(peek(1)) < 0) return false;
  ++at_;
  std::uint32_t code = 0;
  for (; hex_figure(peek()) >= 0; ++at_) {
    if (code > (0x7fffffffu >> 4)) return false;
    code = code * 16 + static_cast<std::uint32_t>(hex_figure(peek()));
  }
  if (peek() != '}') return false;
  ++at_;
  append_utf8(to, code);
  return true;
}

// Of the form of a number; whether it is one Lua has judged.
bool Lexer::read_number(std::string &to) {
  const auto begin = at_;
  const bool hexadecimal = peek() == '0' && (peek(1) == 'x' || peek(1) == 'X');
  if (hexadecimal) at_ += 2;
  while (!over()) {
    const char c = peek();
    const bool exponent = hexadecimal ? c == 'p' || c == 'P' : c == 'e' || c == 'E';
    if (!exponent && hex_figure(c) < 0 && c != '.') break;
    ++at_;
    if (exponent && (peek() == '+' || peek() == '-')) ++at_;
  }
  to = std::string{text_.substr(begin, at_ - begin)};
  return !is_letter(peek());
}

Token Lexer::symbol() {
  const auto rest = text_.substr(at_);
  const auto found =
      std::find_if(kSymbols.begin(), kSymbols.end(), [&](auto symbol) { return rest.starts_with(symbol); });
  if (found == kSymbols.end()) return {TokenKind::Wrong, line_};
  at_ += found->size();
  return {TokenKind::Symbol, line_, std::string{*found}};
}

Token Lexer::next() {
  if (!skip_blanks()) return {TokenKind::Wrong, line_};
  if (over()) return {TokenKind::End, line_};
  Token token{TokenKind::Wrong, line_};
  const char c = peek();
  if (is_letter(c)) {
    const auto begin = at_;
    while (is_letter(peek()) || is_figure(peek())) ++at_;
    token.text = std::string{text_.substr(begin, at_ - begin)};
    const bool keyword = std::find(kKeywords.begin(), kKeywords.end(), token.text) != kKeywords.end();
    token.kind = keyword ? TokenKind::Keyword : TokenKind::Name;
    return token;
  }
  if (is_figure(c) || (c == '.' && is_figure(peek(1)))) {
    if (read_number(token.text)) token.kind = TokenKind::Number;
    return token;
  }
  const auto bracket = long_bracket();
  if (bracket != 0 || c == '"' || c == '\'') {
    const bool whole = bracket != 0 ? read_long(bracket, &token.text) : read_quoted(token.text);
    if (whole) token.kind = TokenKind::String;
    token.line = line_;  // as Lua counts: where it ends
    return token;
  }
  return symbol();
}

}  // namespace mansio::lua
