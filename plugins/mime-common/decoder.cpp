#include "plugins/mime-common/decoder.hpp"

#include "plugins/common/ascii.hpp"
#include "plugins/mime-common/parameters.hpp"

namespace mansio::mime {
namespace {

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (ascii::digit(c)) return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int hex_value(char c) {
  if (ascii::digit(c)) return c - '0';
  c = ascii::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

Encoding encoding_of(std::string_view field) {
  const auto name = parse_parameterized(field).value;
  if (name == "base64") return Encoding::Base64;
  return name == "quoted-printable" ? Encoding::QuotedPrintable : Encoding::None;
}

void Decoder::add(std::string_view piece, std::string &out) {
  if (encoding_ == Encoding::None)
    out += piece;
  else if (encoding_ == Encoding::Base64)
    for (const char c : piece) add_base64(c, out);
  else
    for (const char c : piece) add_quoted(c, out);
}

void Decoder::finish(std::string &out) {
  flush_base64(out);
  // Blanks at the end, and "=" that would join it with the next line, are no text.
  if (state_ == State::Digit) flush_held(out);
  held_size_ = 0;
  state_ = State::Text;
}

// Where padding is, the next character begins anew: some put pieces one behind the other.
void Decoder::add_base64(char c, std::string &out) {
  if (c == '=') return flush_base64(out);
  const int value = base64_value(c);
  if (value < 0) return;
  bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
  if (++characters_ == 4) flush_base64(out);
}

void Decoder::flush_base64(std::string &out) {
  if (characters_ >= 2) {
    const auto bits = bits_ << (6 * (4 - characters_));
    for (unsigned i = 0; i + 1 < characters_; ++i) out += static_cast<char>(bits >> (16 - 8 * i) & 0xff);
  }
  bits_ = 0;
  characters_ = 0;
}

void Decoder::flush_held(std::string &out) {
  out.append(held_.data(), held_size_);
  held_size_ = 0;
  state_ = State::Text;
}

void Decoder::add_quoted(char c, std::string &out) {
  const bool blank = c == ' ' || c == '\t';
  switch (state_) {
    case State::Text:
      break;
    case State::Blanks:
      if (c == '\r' || c == '\n') {  // blanks at the end of a line were added on the way
        held_size_ = 0;
        state_ = State::Text;
      } else if (!blank) {
        flush_held(out);
      }
      break;
    case State::Equals:
      if (hex_value(c) >= 0) {
        held_[held_size_++] = c;
        state_ = State::Digit;
        return;
      }
      [[fallthrough]];
    case State::EqualsBlanks:
      if (c == '\n') {  // the line goes on
        held_size_ = 0;
        state_ = State::Text;
        return;
      }
      if ((blank || c == '\r') && held_size_ < held_.size()) {
        held_[held_size_++] = c;
        state_ = State::EqualsBlanks;
        return;
      }
      flush_held(out);
      break;
    case State::Digit:
      if (const int low = hex_value(c); low >= 0) {
        out += static_cast<char>(hex_value(held_[1]) * 16 + low);
        held_size_ = 0;
        state_ = State::Text;
        return;
      }
      flush_held(out);
      break;
  }
  if (c == '=' || blank) {
    if (held_size_ == held_.size()) flush_held(out);
    held_[held_size_++] = c;
    state_ = c == '=' ? State::Equals : State::Blanks;
  } else {
    out += c;
  }
}

}  // namespace mansio::mime
