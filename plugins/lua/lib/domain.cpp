#include "plugins/lua/lib/domain.hpp"

#include <idn2.h>
#include <libpsl.h>

#include <memory>

#include "plugins/common/ascii.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kLongestDomain = 253, kLongestLabel = 63;  // RFC 1035 section 2.3.4, as text
constexpr std::size_t kLongestForm = 4 * kLongestDomain;         // in UTF-8

bool is_ascii(std::string_view text) {
  for (const char c : text)
    if ((c & 0x80) != 0) return false;
  return true;
}

// Why it is no name; "" when it is one.
std::string_view wrong_with(std::string_view name) {
  if (name.empty()) return "the name is empty";
  if (name.size() > kLongestDomain) return "the name is longer than 253 octets";
  for (;;) {
    const auto dot = name.find('.');
    const auto label = name.substr(0, dot);
    if (label.empty()) return "a label is empty";
    if (label.size() > kLongestLabel) return "a label is longer than 63 octets";
    if (label.front() == '-' || label.back() == '-') return "a label begins or ends with a hyphen";
    for (const char c : label)
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
        return "a label has more than letters, digits, hyphens and underscores";
    if (dot == name.npos) return {};
    name.remove_prefix(dot + 1);
  }
}

// What `convert` of libidn2 makes of the name.
template <class F>
DomainName converted(const std::string &name, F convert) {
  char *made = nullptr;
  const int status = convert(name.c_str(), &made);
  const std::unique_ptr<char, void (*)(void *)> owned{made, ::idn2_free};
  if (status != IDN2_OK) return {{}, ::idn2_strerror(status)};
  return {made, {}};
}
DomainName to_a_labels(const std::string &name) {
  return converted(name, [](const char *from, char **to) {
    return ::idn2_to_ascii_8z(from, to, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
  });
}
DomainName to_u_labels(const std::string &name) {
  return converted(name, [](const char *from, char **to) { return ::idn2_to_unicode_8z8z(from, to, 0); });
}

bool has_a_label(const std::string &name) { return name.find("xn--") != name.npos; }

// The list of the system where it is newer than the one that libpsl was built with.
const psl_ctx_t *suffixes() {
  static const psl_ctx_t *const list = ::psl_latest(nullptr);
  return list;
}

}  // namespace

DomainName ascii_domain(std::string_view text) {
  if (text.size() > kLongestForm) return {{}, "the name is too long"};
  if (text.find('\0') != text.npos) return {{}, "the name has a NUL in it"};
  DomainName made{ascii::lower(text), {}};
  // A name that is ASCII already is no matter of IDNA, unless it says so: hosts have names such as "r1---sn-x".
  if (!is_ascii(text) || has_a_label(made.name)) {
    made = to_a_labels(made.name);
    if (!made.why.empty()) return made;
    made.name = ascii::lower(made.name);
    // libidn2 decodes an A-label, and does not look whether a name may have what comes out.
    if (has_a_label(made.name) && to_a_labels(to_u_labels(made.name).name).name != made.name)
      return {{}, "a label is no A-label of IDNA 2008"};
  }
  if (made.name.ends_with('.')) made.name.pop_back();
  made.why = wrong_with(made.name);
  if (!made.why.empty()) made.name.clear();
  return made;
}

DomainName unicode_domain(std::string_view text) {
  auto made = ascii_domain(text);
  return made.name.empty() ? made : to_u_labels(made.name);
}

std::optional<PublicSuffix> public_suffix(const std::string &name) {
  const auto last = std::string_view{name}.substr(name.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == last.npos) return std::nullopt;  // no top-level domain is a number
  const char *const suffix = ::psl_unregistrable_domain(suffixes(), name.c_str());
  if (!suffix) return std::nullopt;
  PublicSuffix found{suffix, false, {}};
  found.listed = ::psl_is_public_suffix2(suffixes(), suffix, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) != 0;
  if (const char *const registrable = ::psl_registrable_domain(suffixes(), name.c_str()))
    found.registrable = registrable;
  return found;
}

}  // namespace mansio::lua
