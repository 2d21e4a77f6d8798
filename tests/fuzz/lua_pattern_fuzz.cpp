// A pattern of Lua, and a subject behind its first NUL: what is a pattern is an expression of PCRE2 as well, and its
// match ends, with captures that lie within the subject.
#include <cstdint>
#include <string_view>

#include "plugins/lua/lib/pattern.hpp"
#include "plugins/lua/script_error.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::lua_pattern {

MANSIO_FUZZ_TARGET("lua-pattern-fuzz", data, size) {
  using namespace lua;
  if (size > 400) return 0;
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  const auto text = all.substr(0, all.find('\0'));
  const auto subject = all.substr(text.size());
  TranslatedPattern translated;
  try {
    translated = translate_pattern(text);
  } catch (const ScriptError &) {
    return 0;
  }
  const Pattern pattern{translated};  // it throws for what is no expression
  try {
    if (!pattern.regex.match(subject, 0)) return 0;
  } catch (const ScriptError &) {
    return 0;  // given up
  }
  require(pattern.regex.end(0) <= subject.size());
  for (const auto &capture : pattern.captures)
    require(pattern.regex.took_part(capture.group) && pattern.regex.end(capture.group) <= subject.size());
  return 0;
}

}  // namespace mansio::fuzz::lua_pattern
