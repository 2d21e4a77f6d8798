// mansio.hash: hashes and HMAC by OpenSSL, in hexadecimal unless told.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <limits>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/hex.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

const EVP_MD *algorithm(std::string_view name) {
  if (name == "sha256") return ::EVP_sha256();
  if (name == "sha512") return ::EVP_sha512();
  if (name == "sha1") return ::EVP_sha1();
  if (name == "md5") return ::EVP_md5();
  throw ScriptError{"there is no hash \"" + std::string{name} + "\" here, expected sha256, sha512, sha1 or md5"};
}

const unsigned char *octets(std::string_view text) { return reinterpret_cast<const unsigned char *>(text.data()); }

// As hexadecimal, or as it is when that argument is "raw".
template <FunctionName F, std::size_t Form>
int push_digest(lua_State *L, const unsigned char *digest, std::size_t n) {
  const std::string_view raw{reinterpret_cast<const char *>(digest), n};
  const bool as_it_is = !lua_isnoneornil(L, static_cast<int>(Form));
  if (as_it_is && text_at<F, Form>(L) != "raw") throw ScriptError{"the form may be \"raw\" or nothing"};
  push(L, as_it_is ? std::string{raw} : hex(raw));
  return 1;
}

template <const EVP_MD *(*hash)()>
int digest(lua_State *L) {
  const auto text = text_at<"mansio.hash.sha256">(L);
  State::of(L).charge(L, 100 + text.size() / 4);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (::EVP_Digest(text.data(), text.size(), out, &n, hash(), nullptr) != 1)
    throw ScriptError{"OpenSSL does not offer this hash"};
  return push_digest<"mansio.hash.sha256", 2>(L, out, n);
}

// mansio.hash.hmac(algorithm, key, text [, "raw"])
int hmac(lua_State *L) {
  const auto *hash = algorithm(text_at<"mansio.hash.hmac">(L));
  const auto key = text_at<"mansio.hash.hmac", 2>(L), text = text_at<"mansio.hash.hmac", 3>(L);
  if (key.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) throw ScriptError{"the key is too long"};
  State::of(L).charge(L, 200 + text.size() / 4);
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (!::HMAC(hash, key.data(), static_cast<int>(key.size()), octets(text), text.size(), out, &n))
    throw ScriptError{"OpenSSL does not offer this HMAC"};
  return push_digest<"mansio.hash.hmac", 4>(L, out, n);
}

// mansio.hash.equal(a, b): in a time that tells nothing of where they differ.
int equal(lua_State *L) {
  const auto a = text_at<"mansio.hash.equal">(L), b = text_at<"mansio.hash.equal", 2>(L);
  lua_pushboolean(L, a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0);
  return 1;
}

int to_hex(lua_State *L) {
  push(L, hex(text_at<"mansio.hash.hex">(L)));
  return 1;
}

}  // namespace

void add_hash(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {{"sha256", bound<digest<EVP_sha256>>},
                                            {"sha512", bound<digest<EVP_sha512>>},
                                            {"sha1", bound<digest<EVP_sha1>>},
                                            {"md5", bound<digest<EVP_md5>>},
                                            {"hmac", bound<hmac>},
                                            {"equal", bound<equal>},
                                            {"hex", bound<to_hex>},
                                            {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
