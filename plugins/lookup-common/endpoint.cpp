#include "plugins/lookup-common/endpoint.hpp"

#include <charconv>

#include "mansio/config.hpp"

namespace mansio::lookup {

std::string Endpoint::name() const {
  if (local()) return "unix:" + path;
  return (host.find(':') == std::string::npos ? host : '[' + host + ']') + ':' + std::to_string(port);
}

Endpoint parse_endpoint(const char *option, std::string_view text, std::uint16_t default_port) {
  const plugin::BadConfig bad{option, "has \"" + std::string{text} +
                                          "\", expected a server such as \"unix:/run/server.sock\" or \"host:" +
                                          std::to_string(default_port ? default_port : 1234) + "\""};
  Endpoint e;
  if (text.starts_with("unix:") || text.starts_with('/')) {
    if (text.starts_with("unix:")) text.remove_prefix(5);
    // The size of sockaddr_un's path.
    if (!text.starts_with('/') || text.size() > 107) throw bad;
    e.path = text;
    return e;
  }
  if (text.starts_with("inet:")) text.remove_prefix(5);
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) throw bad;
    e.host = text.substr(1, close - 1);
    port = text.substr(close + 1);
  } else {
    const auto colon = text.find(':');
    e.host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (e.host.empty() || e.host.find_first_of(" \t/") != std::string::npos) throw bad;
  e.port = default_port;
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), e.port);
    if (error != std::errc{} || end != port.data() + port.size() || e.port == 0) throw bad;
  }
  if (e.port == 0) throw bad;
  return e;
}

std::vector<Endpoint> parse_endpoints(const char *option, const std::vector<std::string> &texts,
                                      std::uint16_t default_port) {
  std::vector<Endpoint> all;
  all.reserve(texts.size());
  for (const auto &text : texts) all.push_back(parse_endpoint(option, text, default_port));
  if (all.empty()) throw plugin::BadConfig{option, "is empty, expected at least one server"};
  return all;
}

}  // namespace mansio::lookup
