// A domain name of a stranger: its form in ASCII is a name of DNS, and stays one; its public suffix and what is
// registered below are ends of it.
#include <cstdint>
#include <string_view>

#include "plugins/lua/lib/domain.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::lua_domain {

MANSIO_FUZZ_TARGET("lua-domain-fuzz", data, size) {
  using namespace lua;
  const std::string_view text{reinterpret_cast<const char *>(data), size};
  const auto name = lua::ascii_domain(text);
  require(name.name.empty() != name.why.empty());
  const auto unicode = unicode_domain(text);
  require(unicode.name.empty() == name.name.empty());
  if (name.name.empty()) return 0;
  require(lua::ascii_domain(unicode.name).name == name.name);
  require(name.name.size() <= 253 && lua::ascii_domain(name.name).name == name.name);
  const auto found = public_suffix(name.name);
  if (!found) return 0;
  require(!found->suffix.empty() && name.name.ends_with(found->suffix));
  if (found->registrable.empty()) return 0;
  require(name.name.ends_with(found->registrable) && found->registrable.ends_with('.' + found->suffix));
  return 0;
}

}  // namespace mansio::fuzz::lua_domain
