#include "kernel/io/certificate.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace mansio::io {
namespace {

PairFault fault(PairFault::Part part, std::string reason) {
  ERR_clear_error();  // the queue is the thread's: nobody else shall find what is left in it
  return {part, std::move(reason)};
}

}  // namespace

std::optional<PairFault> use_pair(asio::ssl::context &context, std::string_view certificate_pem,
                                  std::string_view key_pem) {
  SSL_CTX *const ssl = context.native_handle();
  // An encrypted key must not make the server ask for a password on some terminal.
  SSL_CTX_set_default_passwd_cb(ssl, [](char *, int, int, void *) { return 0; });
  ErrorCode error;
  context.use_certificate_chain(asio::buffer(certificate_pem), error);
  if (error) return fault(PairFault::Part::Certificate, error.message());
  // Checked before it is used: OpenSSL would refuse a key of another certificate with the same breath as a broken one.
  asio::ssl::context alone{asio::ssl::context::tls_server};
  SSL_CTX_set_default_passwd_cb(alone.native_handle(), [](char *, int, int, void *) { return 0; });
  alone.use_private_key(asio::buffer(key_pem), asio::ssl::context::pem, error);
  if (error) return fault(PairFault::Part::Key, error.message());
  context.use_private_key(asio::buffer(key_pem), asio::ssl::context::pem, error);
  if (error) return fault(PairFault::Part::Pair, error.message());
  if (SSL_CTX_check_private_key(ssl) != 1) return fault(PairFault::Part::Pair, "the two do not match");
  return std::nullopt;
}

}  // namespace mansio::io
