#include "plugins/transport-smtp/client/nexthop.hpp"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

// What stands in brackets: an address literal (RFC 5321 section 4.1.3) or a host name.
std::optional<NextHop> bracketed(std::string_view inside, std::uint16_t port) {
  if (starts_fold(inside, "IPv6:")) inside.remove_prefix(5);
  if (auto ip = canonical_ip(inside); !ip.empty()) return NextHop{NextHop::Kind::Address, std::move(ip), port};
  auto host = to_ascii_domain(inside);
  if (!host) return std::nullopt;
  return NextHop{NextHop::Kind::Host, std::move(*host), port};
}

}  // namespace

std::string NextHop::key() const {
  switch (kind) {
    case Kind::Unix:
      return "unix:" + name;
    case Kind::Domain:
      return name + ':' + std::to_string(port);
    default:
      return '[' + name + "]:" + std::to_string(port);
  }
}

std::optional<NextHop> parse_nexthop(std::string_view text, std::uint16_t default_port) {
  text = trimmed(text);
  if (starts_fold(text, "unix:")) {
    text.remove_prefix(5);
    if (text.empty()) return std::nullopt;
    return NextHop{NextHop::Kind::Unix, std::string{text}, 0};
  }
  const bool inet = starts_fold(text, "inet:");
  if (inet) text.remove_prefix(5);
  if (text.empty()) return std::nullopt;

  if (text[0] == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    auto port = std::optional{default_port};
    if (const auto rest = text.substr(close + 1); !rest.empty()) {
      if (rest[0] != ':') return std::nullopt;
      port = parse_port(rest.substr(1));
    }
    return port ? bracketed(text.substr(1, close - 1), *port) : std::nullopt;
  }
  if (auto ip = canonical_ip(text); !ip.empty()) return NextHop{NextHop::Kind::Address, std::move(ip), default_port};

  auto port = std::optional{default_port};
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    port = parse_port(text.substr(colon + 1));
    text = text.substr(0, colon);
  }
  if (!port) return std::nullopt;
  if (inet || !canonical_ip(text).empty()) return bracketed(text, *port);
  auto domain = to_ascii_domain(text);
  if (!domain) return std::nullopt;
  return NextHop{NextHop::Kind::Domain, std::move(*domain), *port};
}

std::optional<NextHop> nexthop_of_domain(std::string_view domain, std::uint16_t default_port) {
  if (!domain.empty() && domain.front() == '[') {
    if (domain.back() != ']') return std::nullopt;
    auto literal = bracketed(domain.substr(1, domain.size() - 2), default_port);
    return literal && literal->kind == NextHop::Kind::Address ? literal : std::nullopt;
  }
  auto name = to_ascii_domain(domain);
  if (!name) return std::nullopt;
  return NextHop{NextHop::Kind::Domain, std::move(*name), default_port};
}

std::optional<std::string> to_ascii_domain(std::string_view domain) {
  if (!domain.empty() && domain.back() == '.') domain.remove_suffix(1);
  std::string name = lower(domain);
  if (has_eight_bit(domain)) {
    char *ascii = nullptr;
    if (!valid_utf8(domain) || domain.find('\0') != std::string_view::npos ||
        ::idn2_to_ascii_8z(std::string{domain}.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
      return std::nullopt;
    name = lower(std::string_view{ascii});
    ::idn2_free(ascii);
  }
  if (name.empty() || name.size() > 253) return std::nullopt;
  std::size_t label = 0;
  for (const char c : name) {
    if (c == '.') {
      if (label == 0) return std::nullopt;
      label = 0;
      continue;
    }
    if (++label > 63 || !(digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_')) return std::nullopt;
  }
  return label ? std::optional{std::move(name)} : std::nullopt;
}

std::string canonical_ip(std::string_view text) {
  char shown[INET6_ADDRSTRLEN];
  std::string z{text};
  in6_addr v6{};
  if (in_addr v4{}; ::inet_pton(AF_INET, z.c_str(), &v4) == 1) return z;
  if (::inet_pton(AF_INET6, z.c_str(), &v6) != 1) return {};
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    ::inet_ntop(AF_INET, v6.s6_addr + 12, shown, sizeof shown);
  } else {
    ::inet_ntop(AF_INET6, &v6, shown, sizeof shown);
  }
  return shown;
}

bool is_ip_address(std::string_view text) { return !canonical_ip(text).empty(); }

std::string Target::label() const {
  return host + '[' + address + ']' + (unix_socket ? std::string{} : ':' + std::to_string(port));
}
std::string Target::key() const {
  return unix_socket ? "unix:" + address : '[' + address + "]:" + std::to_string(port);
}

void order_targets(std::vector<Target> &targets, std::size_t limit,
                   const std::function<std::size_t(std::size_t)> &random) {
  for (std::size_t i = targets.size(); i > 1; --i) std::swap(targets[i - 1], targets[random(i)]);
  std::stable_sort(targets.begin(), targets.end(),
                   [](const Target &a, const Target &b) { return a.preference < b.preference; });
  std::set<std::string> seen;
  std::erase_if(targets, [&](const Target &t) { return !seen.insert(t.key()).second; });

  // Inside one preference the families take turns; which goes first is the shuffle's choice.
  const auto is_v6 = [](const Target &t) { return t.address.find(':') != std::string::npos; };
  for (auto from = targets.begin(); from != targets.end();) {
    const auto to =
        std::find_if(from, targets.end(), [&](const Target &t) { return t.preference != from->preference; });
    bool want_v6 = is_v6(*from);
    for (auto at = from; at != to; ++at, want_v6 = !want_v6) {
      const auto next = std::find_if(at, to, [&](const Target &t) { return is_v6(t) == want_v6; });
      if (next != to) std::rotate(at, next, next + 1);
    }
    from = to;
  }

  if (limit == 0 || targets.size() <= limit) return;
  if (limit == 1) {
    targets.erase(targets.begin() + 1, targets.end());
    return;
  }
  // Each family keeps at least half of the limit if it has that many.
  const auto v6_all = static_cast<std::size_t>(std::count_if(targets.begin(), targets.end(), is_v6));
  const auto v4_all = targets.size() - v6_all;
  auto v6_left = std::min(v6_all, std::max((limit + 1) / 2, limit - std::min(limit, v4_all)));
  auto v4_left = std::min(v4_all, limit - v6_left);
  v6_left = std::min(v6_all, limit - v4_left);
  std::erase_if(targets, [&](const Target &t) {
    auto &left = is_v6(t) ? v6_left : v4_left;
    return left == 0 || left-- == 0;
  });
}

std::optional<std::uint16_t> prune_self(std::vector<Target> &targets, const std::vector<std::string> &self_addresses) {
  std::optional<std::uint16_t> own;
  for (const auto &target : targets) {
    if (std::find(self_addresses.begin(), self_addresses.end(), target.address) != self_addresses.end())
      own = std::min(own.value_or(target.preference), target.preference);
  }
  if (own) std::erase_if(targets, [&](const Target &t) { return t.preference >= *own; });
  return own;
}

}  // namespace mansio::smtp
