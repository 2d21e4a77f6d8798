// TLS contexts of the load tools. They measure and test, so the source verifies only when it is given a CA, and the
// sink makes itself a certificate when it is given none.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "kernel/base/result.hpp"

namespace mansio::cli::load {

using TlsContext = std::shared_ptr<boost::asio::ssl::context>;

Result<TlsContext> client_tls(const std::string &ca_file);  // "": no verification
Result<TlsContext> server_tls(const std::string &certificate_file, const std::string &key_file);
Result<TlsContext> self_signed_tls(const std::string &name);  // a P-256 key that lives as long as the process

}  // namespace mansio::cli::load
