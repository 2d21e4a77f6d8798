// The header section of a message as scripts read it: names without colons, values of one line, and nothing made up.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "plugins/lua/header.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::lua_header {

MANSIO_FUZZ_TARGET("lua-header-fuzz", data, size) {
  const std::string_view all{reinterpret_cast<const char *>(data), size};
  std::size_t total = 0;
  for (const auto &field : lua::parse_header(all)) {
    total += field.name.size() + field.value.size() + 1;
    if (field.name.find(':') != field.name.npos || field.value.find("\r\n") != field.value.npos) std::abort();
    if (!field.value.empty() && (field.value.front() == ' ' || field.value.back() == ' ')) std::abort();
  }
  if (total > size) std::abort();
  return 0;
}

}  // namespace mansio::fuzz::lua_header
