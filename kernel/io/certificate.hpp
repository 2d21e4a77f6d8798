// A server's certificate chain and private key, put into a TLS context: by ingress when it serves, and beforehand by
// whoever checks a configuration. One function, so that what the check lets pass is what the server can use.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/io/asio.hpp"

namespace mansio::io {

struct PairFault {
  enum class Part : std::uint8_t { Certificate, Key, Pair } part;  // Pair: each is fine, but not with the other
  std::string reason;                                              // OpenSSL's
};

// PEM texts; the chain has the server's own certificate first. A key that asks for a password is refused.
std::optional<PairFault> use_pair(asio::ssl::context &context, std::string_view certificate_pem,
                                  std::string_view key_pem);

}  // namespace mansio::io
