// Keys of lookups are what strangers sent: whatever is in one, it stays data in a filter (RFC 4515), in a distinguished
// name (RFC 4514) and in a prepared statement, and its parts are parts of it.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lookup-common/expansion.hpp"
#include "plugins/lookup-common/sql.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-ldap/escape.hpp"
#include "tests/fuzz/target.hpp"

namespace mansio::fuzz::lookup_key {
namespace {

using namespace lookup;

int digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

// Undoes \xx; nothing when one of `special` stands by itself.
std::optional<std::string> undo(std::string_view text, std::string_view special) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0) return std::nullopt;
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else if (text[i] == '\0' || special.find(text[i]) != std::string_view::npos) {
      return std::nullopt;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

MANSIO_FUZZ_TARGET("lookup-key-fuzz", data, size) {
  if (size > 4096) return 0;
  static const Template all{"query", "(%s)"}, parts{"query", "%u@%d"}, labels{"query", "%1.%2.%3.%9"};
  static const SqlQuery sql{"SELECT a FROM b WHERE c = '%s' AND d = '%d'", Placeholder::Question};
  static const Table table{true, {"example.com"}, "%s", 0};
  const std::string_view key{reinterpret_cast<const char *>(data), size};

  if (const auto filter = all.expand(key, key, escape_filter)) {
    require(filter->starts_with('(') && filter->ends_with(')'));
    require(undo(std::string_view{*filter}.substr(1, filter->size() - 2), "*()") == key);
  } else {
    require(key.empty());
  }
  if (const auto name = Template{"search_base", "%s"}.expand(key, key, escape_dn))
    require(undo(*name, ",+\"<>;=# ") == key);
  if (const auto whole = parts.expand(key, key)) require(*whole == key);
  if (const auto some = labels.expand(key, key)) require(some->size() < key.size() + 4);
  if (const auto values = sql.bind(key))
    require(values->size() == 2 && values->at(0) == key && key.ends_with(values->at(1)));
  if (const auto asked = table.key(key)) require(asked->size() == key.size() && asked->ends_with("@example.com"));
  return 0;
}

}  // namespace mansio::fuzz::lookup_key
