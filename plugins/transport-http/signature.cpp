#include "plugins/transport-http/signature.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <vector>

namespace mansio::http {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;

}  // namespace

std::optional<std::string> signature(Body &body, const std::string &secret) {
  const std::unique_ptr<EVP_MAC, decltype(&::EVP_MAC_free)> mac{::EVP_MAC_fetch(nullptr, "HMAC", nullptr),
                                                                ::EVP_MAC_free};
  const std::unique_ptr<EVP_MAC_CTX, decltype(&::EVP_MAC_CTX_free)> context{
      mac ? ::EVP_MAC_CTX_new(mac.get()) : nullptr, ::EVP_MAC_CTX_free};
  std::string digest = "SHA256";
  const std::array parameters{::OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                              ::OSSL_PARAM_construct_end()};
  if (!context || ::EVP_MAC_init(context.get(), reinterpret_cast<const unsigned char *>(secret.data()), secret.size(),
                                 parameters.data()) != 1)
    throw std::runtime_error{"OpenSSL offers no HMAC-SHA256"};
  std::vector<char> buffer(kBuffer);
  std::int64_t n = 0;
  while ((n = body.read(buffer.data(), buffer.size())) > 0)
    ::EVP_MAC_update(context.get(), reinterpret_cast<const unsigned char *>(buffer.data()),
                     static_cast<std::size_t>(n));
  body.rewind();
  if (n < 0) return std::nullopt;
  std::array<unsigned char, 32> code{};
  std::size_t size = 0;
  ::EVP_MAC_final(context.get(), code.data(), &size, code.size());
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "sha256=";
  for (const auto octet : code) out += {kDigits[octet >> 4], kDigits[octet & 15]};
  return out;
}

}  // namespace mansio::http
