#include "plugins/lookup-ldap/escape.hpp"

namespace mansio::lookup {
namespace {

void escape(std::string &to, std::string_view part, std::string_view special) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (const char c : part) {
    if (c == '\0' || special.find(c) != std::string_view::npos) {
      const auto byte = static_cast<unsigned char>(c);
      to += '\\';
      to += kDigits[byte >> 4];
      to += kDigits[byte & 15];
    } else {
      to += c;
    }
  }
}

}  // namespace

void escape_filter(std::string &to, std::string_view part) { escape(to, part, "*()\\"); }
void escape_dn(std::string &to, std::string_view part) { escape(to, part, ",+\"\\<>;=# "); }

}  // namespace mansio::lookup
