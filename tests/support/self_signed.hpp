// A certificate that vouches for itself, and its key, made on the spot: tests carry no keys in the tree.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>

namespace mansio::testing {

struct CertificateAndKey {
  std::string certificate, key;  // PEM
};

inline std::string take_text(BIO *bio) {
  char *data = nullptr;
  const auto n = BIO_get_mem_data(bio, &data);
  std::string out{data, static_cast<std::size_t>(n)};
  BIO_free(bio);
  return out;
}

inline CertificateAndKey self_signed() {
  EVP_PKEY *key = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), 0);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400);
  X509_set_pubkey(x, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char *>("mx.test"), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_sign(x, key, EVP_sha256());
  BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_bio, x);
  PEM_write_bio_PrivateKey(key_bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(x);
  EVP_PKEY_free(key);
  return {take_text(certificate_bio), take_text(key_bio)};
}

}  // namespace mansio::testing
