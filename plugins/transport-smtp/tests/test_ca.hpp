// A certification authority of the tests' own: certificates for any names, and its own certificate in a file.
#pragma once

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

namespace mansio::smtp::test {

class TestCa {
 public:
  TestCa() : key_(EVP_EC_gen("P-256")), certificate_(blank("Test CA " + std::to_string(serial()), key_.get())) {
    add(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(certificate_.get(), key_.get(), EVP_sha256());
    std::string pattern = "/tmp/mansio-ca.XXXXXX";
    const int fd = ::mkstemp(pattern.data());
    file_ = pattern;
    std::unique_ptr<FILE, int (*)(FILE *)> out{::fdopen(fd, "w"), ::fclose};
    PEM_write_X509(out.get(), certificate_.get());
  }
  ~TestCa() { ::unlink(file_.c_str()); }
  TestCa(const TestCa &) = delete;
  TestCa &operator=(const TestCa &) = delete;

  const std::string &file() const { return file_; }

  // Puts a fresh key with a certificate for `names` ("DNS:mx.example.com,IP:127.0.0.1") into a server's context.
  std::function<void(SSL_CTX *)> identity(std::string names, long valid_for = 3600) const {
    return [this, names = std::move(names), valid_for](SSL_CTX *ctx) {
      const Key key{EVP_EC_gen("P-256")};
      const auto certificate = blank("server", key.get(), valid_for);
      X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
      add(certificate.get(), NID_subject_alt_name, names.c_str());
      X509_sign(certificate.get(), key_.get(), EVP_sha256());
      SSL_CTX_use_certificate(ctx, certificate.get());
      SSL_CTX_use_PrivateKey(ctx, key.get());
    };
  }

 private:
  struct Free {
    void operator()(EVP_PKEY *p) const { EVP_PKEY_free(p); }
    void operator()(X509 *p) const { X509_free(p); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;
  using Certificate = std::unique_ptr<X509, Free>;

  static Certificate blank(const std::string &name, EVP_PKEY *key, long valid_for = 3600) {
    Certificate c{X509_new()};
    X509_set_version(c.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.get()), ++serial());
    X509_gmtime_adj(X509_getm_notBefore(c.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(c.get()), valid_for);
    auto *subject = X509_get_subject_name(c.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char *>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(c.get(), subject);
    X509_set_pubkey(c.get(), key);
    return c;
  }
  static void add(X509 *certificate, int nid, const char *value) {
    auto *extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  static long &serial() {
    static long last = 0;
    return last;
  }

  Key key_;
  Certificate certificate_;
  std::string file_;
};

}  // namespace mansio::smtp::test
