// Where the load tools connect to or listen on: "host:port", "[::1]:port", "unix:/path", with or without "inet:".
#pragma once

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <chrono>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"

namespace mansio::cli::load {

using Protocol = boost::asio::generic::stream_protocol;
using Acceptor = boost::asio::basic_socket_acceptor<Protocol>;

struct Endpoint {
  Protocol::endpoint address;
  std::string text;       // as given
  std::string host;       // "" for a UNIX socket
  std::string unix_path;  // "" for TCP
};

struct EndpointHints {
  int family = 0;         // AF_INET or AF_INET6; 0: either
  const char *port = "";  // "" = must be given
};
// "inet:" may stand before a host, as Postfix's tools have it.
Result<Endpoint> parse_endpoint(std::string_view text, bool passive, EndpointHints hints = {});

// The bound address, with the port that the system chose for port 0.
std::string bound_name(const Acceptor &acceptor, const Endpoint &asked);

// "250ms", "2s", "1m", "2" (seconds).
Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace mansio::cli::load
