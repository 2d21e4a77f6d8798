#include "kernel/cli/load/endpoint.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/un.h>

#include <charconv>
#include <cstring>
#include <memory>

namespace mansio::cli::load {
namespace {

Error bad(std::string text) { return {Status::BadConfig, std::move(text), {}}; }

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text, bool passive, EndpointHints preferred) {
  Endpoint endpoint;
  endpoint.text = text;
  if (text.starts_with("unix:")) {
    endpoint.unix_path = text.substr(5);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (endpoint.unix_path.empty() || endpoint.unix_path.size() >= sizeof address.sun_path) {
      return bad(fmt::format("{}: a socket's path has 1 to {} characters", text, sizeof address.sun_path - 1));
    }
    std::memcpy(address.sun_path, endpoint.unix_path.c_str(), endpoint.unix_path.size() + 1);
    endpoint.address = Protocol::endpoint{&address, sizeof address};
    return endpoint;
  }
  auto host = text;
  if (host.starts_with("inet:")) host.remove_prefix(5);
  std::string service{preferred.port};
  const auto colon = host.rfind(':');
  if (colon != std::string_view::npos && !host.ends_with(']')) {
    service = host.substr(colon + 1);
    host = host.substr(0, colon);
  }
  if (service.empty() || (host.empty() && !passive)) {
    return bad(fmt::format("{}: expected host:port, [address]:port or unix:/path", text));
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  endpoint.host = host;

  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = preferred.family;
  hints.ai_flags = passive ? AI_PASSIVE : AI_ADDRCONFIG;
  const int rc =
      ::getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(), service.c_str(), &hints, &found);
  if (rc != 0) return bad(fmt::format("{}: {}", text, ::gai_strerror(rc)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{found, &::freeaddrinfo};
  endpoint.address = Protocol::endpoint{found->ai_addr, found->ai_addrlen};
  return endpoint;
}

std::string bound_name(const Acceptor &acceptor, const Endpoint &asked) {
  if (!asked.unix_path.empty()) return asked.text;
  boost::system::error_code error;
  const auto local = acceptor.local_endpoint(error);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (error || ::getnameinfo(local.data(), static_cast<socklen_t>(local.size()), host, sizeof host, port, sizeof port,
                             NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return asked.text;
  }
  return std::strchr(host, ':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const double scale = unit == "ms"                  ? 1e6
                       : unit == "s" || unit.empty() ? 1e9
                       : unit == "m"                 ? 60e9
                       : unit == "us"                ? 1e3
                                                     : 0;
  if (error != std::errc{} || scale == 0 || !(number >= 0) || number > 1e6) {
    return bad(fmt::format("{}: expected a time such as 250ms, 2s or 1m", text));
  }
  return std::chrono::nanoseconds{static_cast<std::int64_t>(number * scale)};
}

}  // namespace mansio::cli::load
