#include "kernel/ingress/tls.hpp"

#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernel/io/certificate.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

Error bad(std::string what) { return {Status::BadConfig, std::move(what)}; }

// The supervisor's descriptor may share its offset with nobody, but pread needs no such assumption.
Result<std::string> read_all(const io::UniqueFd &fd, const std::string &path) {
  std::string bytes;
  char block[16384];
  for (;;) {
    const auto n = ::pread(fd.get(), block, sizeof block, static_cast<off_t>(bytes.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return bad(path + ": " + std::strerror(errno));
    if (n == 0) return bytes;
    bytes.append(block, static_cast<std::size_t>(n));
    if (bytes.size() > kMaxFile) return bad(path + ": too large for a PEM file");
  }
}

}  // namespace

Result<std::shared_ptr<asio::ssl::context>> make_tls_context(std::string_view certificate_pem,
                                                             std::string_view key_pem) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX *const ssl = context->native_handle();
  SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
  SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  if (const auto fault = io::use_pair(*context, certificate_pem, key_pem)) {
    switch (fault->part) {
      case io::PairFault::Part::Certificate:
        return bad("certificate chain: " + fault->reason);
      case io::PairFault::Part::Key:
        return bad("private key: " + fault->reason);
      case io::PairFault::Part::Pair:
        return bad("the private key does not belong to the certificate");
    }
  }
  return context;
}

Result<TlsContext::Stamp> TlsContext::stamp(const io::UniqueFd &fd) {
  struct stat s {};
  if (::fstat(fd.get(), &s) != 0) return bad(std::string{"fstat: "} + std::strerror(errno));
  return Stamp{s.st_dev, s.st_ino, static_cast<std::uint64_t>(s.st_size),
               s.st_mtim.tv_sec * kSecond + s.st_mtim.tv_nsec};
}

Result<bool> TlsContext::use(io::UniqueFd certificate, io::UniqueFd key) {
  const auto certificate_stamp = stamp(certificate), key_stamp = stamp(key);
  if (!certificate_stamp) return certificate_stamp.error();
  if (!key_stamp) return key_stamp.error();
  if (*certificate_stamp == certificate_stamp_ && *key_stamp == key_stamp_) return false;
  // Remembered before they are judged, so that a broken pair is complained of once, not at every look.
  certificate_stamp_ = *certificate_stamp;
  key_stamp_ = *key_stamp;
  const auto certificate_pem = read_all(certificate, certificate_file_);
  if (!certificate_pem) return certificate_pem.error();
  const auto key_pem = read_all(key, key_file_);
  if (!key_pem) return key_pem.error();
  auto context = make_tls_context(*certificate_pem, *key_pem);
  if (!context) return bad(certificate_file_ + ", " + key_file_ + ": " + context.error().text);
  current_ = *context;
  return true;
}

void TlsContext::look(const OpenFile &open_file, std::function<void(Result<bool>)> done) {
  if (looking_) return done(false);
  looking_ = true;
  open_file(certificate_file_, [self = shared_from_this(), open_file, done](Result<io::UniqueFd> certificate) {
    if (!certificate) {
      self->looking_ = false;
      return done(bad(self->certificate_file_ + ": " + certificate.error().text));
    }
    // std::function wants copies; a descriptor has one owner.
    const auto held = std::make_shared<io::UniqueFd>(std::move(*certificate));
    open_file(self->key_file_, [self, held, done](Result<io::UniqueFd> key) {
      self->looking_ = false;
      if (!key) return done(bad(self->key_file_ + ": " + key.error().text));
      done(self->use(std::move(*held), std::move(*key)));
    });
  });
}

void TlsContext::refresh(const OpenFile &open_file) {
  look(open_file, [this](const Result<bool> &changed) {
    if (!changed)
      log_.warn("certificate not reloaded, the old one stays in use", {{"error", changed.error().text}});
    else if (*changed)
      log_.info("certificate reloaded", {{"file", certificate_file_}});
  });
}

}  // namespace mansio::ingress
