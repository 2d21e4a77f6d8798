#include "kernel/cli/load/tls.hpp"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace mansio::cli::load {
namespace {

namespace ssl = boost::asio::ssl;

Error bad(const std::string &what, const boost::system::error_code &error) {
  return {Status::BadConfig, what + ": " + error.message(), {}};
}

TlsContext context(ssl::context::method method) {
  auto made = std::make_shared<ssl::context>(method);
  SSL_CTX_set_min_proto_version(made->native_handle(), TLS1_2_VERSION);
  return made;
}

}  // namespace

Result<TlsContext> client_tls(const std::string &ca_file) {
  auto made = context(ssl::context::tls_client);
  boost::system::error_code error;
  if (ca_file.empty()) return made;
  made->load_verify_file(ca_file, error);
  if (error) return bad(ca_file, error);
  made->set_verify_mode(ssl::verify_peer, error);
  if (error) return bad(ca_file, error);
  return made;
}

Result<TlsContext> server_tls(const std::string &certificate_file, const std::string &key_file) {
  auto made = context(ssl::context::tls_server);
  boost::system::error_code error;
  made->use_certificate_chain_file(certificate_file, error);
  if (error) return bad(certificate_file, error);
  made->use_private_key_file(key_file, ssl::context::pem, error);
  if (error) return bad(key_file, error);
  return made;
}

Result<TlsContext> self_signed_tls(const std::string &name) {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_EC_gen("P-256"), &EVP_PKEY_free};
  const std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), &X509_free};
  auto made = context(ssl::context::tls_server);
  if (!key || !certificate) return Error{Status::Internal, "no key could be made", {}};
  auto *x = certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 30L * 86400);
  X509_set_pubkey(x, key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char *>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  if (X509_sign(x, key.get(), EVP_sha256()) == 0 || SSL_CTX_use_certificate(made->native_handle(), x) != 1 ||
      SSL_CTX_use_PrivateKey(made->native_handle(), key.get()) != 1) {
    return Error{Status::Internal, "no certificate could be made", {}};
  }
  return made;
}

}  // namespace mansio::cli::load
