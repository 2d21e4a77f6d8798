#include "address.hpp"

#include <algorithm>
#include <climits>

#include "plugins/common/ascii.hpp"

namespace maildir {
namespace {

// Room is left for what a pattern puts around it.
constexpr std::size_t kMaxPart = 200;

bool safe(std::string_view part) {
  return !part.empty() && part.size() <= kMaxPart && part.front() != '.' &&
         std::none_of(part.begin(), part.end(),
                      [](char c) { return c == '/' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// RFC 5321 section 4.1.2: "a\"b" is a"b. Nothing when the quotes do not match.
std::optional<std::string> unquote(std::string_view local) {
  if (!local.starts_with('"')) return std::string{local};
  if (local.size() < 2 || !local.ends_with('"')) return std::nullopt;
  local = local.substr(1, local.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < local.size(); ++i) {
    if (local[i] == '\\' && ++i == local.size()) return std::nullopt;
    out.push_back(local[i]);
  }
  return out;
}

std::optional<std::string> value(std::string_view name, const Mailbox &mailbox) {
  if (name == "user") return mailbox.user;
  if (name == "local") return mailbox.local;
  if (name == "domain") return mailbox.domain;
  return std::nullopt;
}

}  // namespace

std::optional<Mailbox> parse_mailbox(std::string_view address, std::string_view recipient_delimiter, bool fold_case) {
  const auto at = address.rfind('@');
  if (at == std::string_view::npos) return std::nullopt;
  auto local = unquote(address.substr(0, at));
  if (!local) return std::nullopt;
  Mailbox m;
  m.local = fold_case ? mansio::ascii::lower(*local) : std::move(*local);
  m.domain = mansio::ascii::lower(address.substr(at + 1));
  // The first delimiter splits; at the very front it is part of the name.
  const auto cut = m.local.find_first_of(recipient_delimiter, 1);
  m.user = m.local.substr(0, recipient_delimiter.empty() ? std::string::npos : cut);
  if (!safe(m.local) || !safe(m.user) || !safe(m.domain)) return std::nullopt;
  return m;
}

std::string expand(std::string_view pattern, const Mailbox &mailbox) {
  std::string out;
  while (!pattern.empty()) {
    const auto open = std::min(pattern.find('{'), pattern.size());
    out += pattern.substr(0, open);
    pattern.remove_prefix(open);
    const auto close = pattern.find('}');
    if (close == std::string_view::npos) break;
    out += value(pattern.substr(1, close - 1), mailbox).value_or("");
    pattern.remove_prefix(close + 1);
  }
  out += pattern;
  std::size_t part = 0;
  for (const char c : out) {
    part = c == '/' ? 0 : part + 1;
    if (part > NAME_MAX) return {};
  }
  return out.size() + NAME_MAX + 8 < PATH_MAX ? out : std::string{};  // "/tmp/" and a file's name follow
}

std::string check_pattern(std::string_view pattern) {
  if (!pattern.starts_with('/')) return "must be an absolute path";
  if ((std::string{pattern} + "/").find("/../") != std::string::npos) return "must not contain \"..\"";
  for (auto rest = pattern; !rest.empty();) {
    const auto brace = rest.find_first_of("{}");
    if (brace == std::string_view::npos) break;
    const auto close = rest.find('}', brace);
    if (rest[brace] == '}' || close == std::string_view::npos) return "has an unmatched brace";
    if (!value(rest.substr(brace + 1, close - brace - 1), {})) return "knows {user}, {local} and {domain} only";
    rest.remove_prefix(close + 1);
  }
  return {};
}

}  // namespace maildir
