// mansio.base64, by OpenSSL.
#include <openssl/evp.h>

#include <algorithm>
#include <string>

#include "plugins/lua/bind.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/lib/libraries.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kLargestBase64 = 64 << 20;

template <FunctionName F>
std::string_view bounded(lua_State *L) {
  const auto text = text_at<F>(L);
  if (text.size() > kLargestBase64) throw ScriptError{"the text is larger than 64 MiB"};
  State::of(L).charge(L, 50 + text.size() / 8);
  return text;
}

int base64_encode(lua_State *L) {
  const auto text = bounded<"mansio.base64.encode">(L);
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');  // it ends with NUL
  const int n = ::EVP_EncodeBlock(reinterpret_cast<unsigned char *>(out.data()),
                                  reinterpret_cast<const unsigned char *>(text.data()), static_cast<int>(text.size()));
  push(L, std::string_view{out}.substr(0, static_cast<std::size_t>(n)));
  return 1;
}

// mansio.base64.decode(text): white space is passed over; nil for what is no base64.
int base64_decode(lua_State *L) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string digits;
  for (const char c : bounded<"mansio.base64.decode">(L))
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') digits += c;
  const auto end = std::min(digits.find('='), digits.size());
  const auto padding = digits.size() - end;
  const bool good = digits.size() % 4 == 0 && padding <= 2 && digits.find_first_not_of('=', end) == digits.npos &&
                    digits.find_first_not_of(kAlphabet) >= end;
  if (!good) return lua_pushnil(L), 1;
  std::string out(digits.size() / 4 * 3, '\0');
  const int n = digits.empty() ? 0
                               : ::EVP_DecodeBlock(reinterpret_cast<unsigned char *>(out.data()),
                                                   reinterpret_cast<const unsigned char *>(digits.data()),
                                                   static_cast<int>(digits.size()));
  if (n < 0) return lua_pushnil(L), 1;
  push(L, std::string_view{out}.substr(0, static_cast<std::size_t>(n) - padding));
  return 1;
}

}  // namespace

void add_base64(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"encode", bound<base64_encode>}, {"decode", bound<base64_decode>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
