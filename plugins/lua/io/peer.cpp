#include "plugins/lua/io/peer.hpp"

#include <algorithm>
#include <charconv>

namespace mansio::lua {
namespace {

constexpr std::size_t kLongestPath = 107, kLongestName = 253;

bool good_host(std::string_view host) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == ':';
  };
  return !host.empty() && host.size() <= kLongestName && std::all_of(host.begin(), host.end(), fits);
}

}  // namespace

std::string Peer::text() const {
  if (local()) return "unix:" + path;
  const bool six = host.find(':') != std::string::npos;
  return (six ? '[' + host + ']' : host) + ':' + std::to_string(port);
}

std::optional<Peer> Peer::parse(std::string_view text, std::uint16_t port) {
  Peer peer;
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) {
    peer.path = text.substr(kUnix.size());
    const bool good =
        peer.path.starts_with('/') && peer.path.size() <= kLongestPath && peer.path.find('\0') == std::string::npos;
    return good ? std::optional{peer} : std::nullopt;
  }
  const bool bracket = text.starts_with('[');
  const auto end = bracket ? text.find(']') : text.rfind(':');
  if (bracket && end == text.npos) return std::nullopt;
  peer.host = bracket ? text.substr(1, end - 1) : text.substr(0, end);
  auto rest = bracket ? text.substr(end + 1) : end == text.npos ? std::string_view{} : text.substr(end);
  if (!good_host(peer.host) || (!bracket && peer.host.find(':') != std::string::npos)) return std::nullopt;
  peer.port = port;
  if (!rest.empty()) {
    if (rest.front() != ':') return std::nullopt;
    rest.remove_prefix(1);
    const auto [last, error] = std::from_chars(rest.data(), rest.data() + rest.size(), peer.port);
    if (rest.empty() || error != std::errc{} || last != rest.data() + rest.size()) return std::nullopt;
  }
  return peer.port == 0 ? std::nullopt : std::optional{peer};
}

}  // namespace mansio::lua
