#include "plugins/lookup-common/expansion.hpp"

#include <utility>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

// The label number `n` from the end, from 1.
std::optional<std::string_view> label(std::string_view domain, std::size_t n) {
  for (;;) {
    const auto dot = domain.rfind('.');
    const auto last = dot == std::string_view::npos ? domain : domain.substr(dot + 1);
    if (last.empty()) return std::nullopt;
    if (--n == 0) return last;
    if (dot == std::string_view::npos) return std::nullopt;
    domain = domain.substr(0, dot);
  }
}

std::optional<std::string_view> unless_empty(std::string_view text) {
  return text.empty() ? std::nullopt : std::optional{text};
}

}  // namespace

void verbatim(std::string &to, std::string_view part) { to += part; }

Parts parts_of(std::string_view address) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return {address, {}, false};
  return {address.substr(0, at), address.substr(at + 1), true};
}

Template::Template(const char *option, std::string_view text) {
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) pieces_.push_back({Kind::Literal, std::exchange(literal, {})});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      literal += text[i];
      continue;
    }
    const char c = ++i < text.size() ? text[i] : '\0';
    if (c == '%') {
      literal += '%';
      continue;
    }
    flush();
    switch (c) {
      case 's':
        pieces_.push_back({Kind::Value, {}});
        break;
      case 'u':
        pieces_.push_back({Kind::ValueLocal, {}});
        break;
      case 'd':
        pieces_.push_back({Kind::ValueDomain, {}});
        break;
      case 'S':
        pieces_.push_back({Kind::Key, {}});
        break;
      case 'U':
        pieces_.push_back({Kind::KeyLocal, {}});
        break;
      case 'D':
        pieces_.push_back({Kind::KeyDomain, {}});
        break;
      default:
        if (c < '1' || c > '9')
          throw plugin::BadConfig{option, "is \"" + std::string{text} + "\" with \"%" + std::string(c ? 1 : 0, c) +
                                              "\" in it, expected %s, %u, %d, %S, %U, %D, %1 to %9 or %% after each "
                                              "per cent sign"};
        pieces_.push_back({Kind::Label, {}, static_cast<std::size_t>(c - '0')});
    }
    expansions_ = true;
  }
  flush();
}

std::optional<std::string_view> Template::part(const Piece &piece, std::string_view key, std::string_view value) {
  switch (piece.kind) {
    case Kind::Literal:
      return piece.literal;
    case Kind::Value:
      return unless_empty(value);
    case Kind::ValueLocal:
      return unless_empty(parts_of(value).local);
    case Kind::ValueDomain:
      return unless_empty(parts_of(value).domain);
    case Kind::Key:
      return unless_empty(key);
    case Kind::KeyLocal:
      return unless_empty(parts_of(key).local);
    case Kind::KeyDomain:
      return unless_empty(parts_of(key).domain);
    case Kind::Label:
      return label(parts_of(key).domain, piece.label);
  }
  return std::nullopt;
}

bool Template::covers(std::string_view key) const {
  for (const auto &piece : pieces_)
    if (piece.kind >= Kind::Key && !part(piece, key, {})) return false;
  return true;
}

std::optional<std::string> Template::expand(std::string_view key, std::string_view value, Escape escape) const {
  std::string out;
  for (const auto &piece : pieces_) {
    const auto text = part(piece, key, value);
    if (!text) return std::nullopt;
    if (piece.kind == Kind::Literal)
      out += *text;
    else
      escape(out, *text);
  }
  return out;
}

}  // namespace mansio::lookup
