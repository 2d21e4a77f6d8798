#include "kernel/mail/address.hpp"

#include <arpa/inet.h>
#include <idn2.h>

#include <cstring>
#include <memory>

#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

constexpr std::size_t kMaxLabel = 63;

bool high(char c) { return static_cast<unsigned char>(c) > 127; }
bool let_dig(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
// RFC 5322 atext, with RFC 6531's octets above 127.
bool atext(char c) { return let_dig(c) || high(c) || (c != '\0' && std::strchr("!#$%&'*+-/=?^_`{|}~", c)); }

// Lower-case LDH labels, and underscores, of a length that DNS takes.
bool valid_name(std::string_view name) {
  constexpr std::size_t kLongestName = 253;
  if (name.empty() || name.size() > kLongestName) return false;
  for (;;) {
    const auto dot = name.find('.');
    const auto label = name.substr(0, dot);
    if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label)
      if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_')) return false;
    if (dot == name.npos) return true;
    name.remove_prefix(dot + 1);
  }
}

enum class Side { Sender, Recipient };

// Reads one path or mailbox. The first error stays; every reader stops once there is one.
class Reader {
 public:
  Reader(std::string_view text, Side side, PathOptions options) : rest_(text), side_(side), options_(options) {}

  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }
  Error error() const { return error_; }

  void fail(std::string text, EnhancedStatus enhanced = {}) {
    if (failed_) return;
    failed_ = true;
    if (enhanced.empty()) enhanced = side_ == Side::Sender ? EnhancedStatus{5, 1, 7} : EnhancedStatus{5, 1, 3};
    error_ = {Status::Fail, std::move(text), enhanced};
  }

  bool eat(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  Address path() {
    const auto all = rest_;
    Address address;
    if (!eat('<')) {
      if (options_.strict) fail("the address must be in angle brackets");
      mailbox(address);
      return address;
    }
    if (eat('>')) {
      if (side_ == Side::Recipient) fail("the recipient is empty");
      return address;
    }
    source_route();
    mailbox(address);
    if (!failed_ && !eat('>')) fail("the address does not end in '>'");
    if (all.size() - rest_.size() > kMaxPath) fail("the path is longer than 256 octets");
    return address;
  }

  void mailbox(Address &address) {
    const auto begin = rest_;
    local_part(address.local);
    if (failed_) return;
    if (eat('@')) {
      domain(address.domain);
    } else if (side_ == Side::Recipient && is_postmaster(address.local)) {
      return;
    } else {
      fail("the address has no domain");
    }
    if (begin.size() - rest_.size() > kMaxPath - 2) fail("the address is longer than 254 octets");
  }

  void domain(std::string &out) {
    if (failed_) return;
    if (!rest_.empty() && rest_.front() == '[') return literal(out);
    std::size_t n = 0;
    while (n < rest_.size() &&
           (let_dig(rest_[n]) || high(rest_[n]) || rest_[n] == '-' || rest_[n] == '.' || rest_[n] == '_'))
      ++n;
    const auto text = rest_.substr(0, n);
    rest_.remove_prefix(n);
    if (text.empty()) return fail("the domain is empty");
    if (n > kMaxDomain) return fail("the domain is longer than 255 octets");
    if (!labels(text)) return;
    if (!is_ascii(text) && !check_utf8(text)) return;
    out = lower(text);
    if (!is_ascii(out) && !ascii_domain(out)) fail("the domain is not a valid internationalised name", {5, 1, 2});
  }

 private:
  // "@one.example,@two.example:", obsolete but to be accepted and ignored.
  void source_route() {
    if (rest_.empty() || rest_.front() != '@') return;
    do {
      std::string ignored;
      if (!eat('@')) return fail("the source route is malformed");
      domain(ignored);
      if (failed_) return;
    } while (eat(','));
    if (!eat(':')) fail("the source route is malformed");
  }

  void local_part(std::string &out) {
    const auto begin = rest_;
    if (eat('"')) {
      quoted(out);
    } else {
      std::size_t n = 0;
      while (n < rest_.size() && (atext(rest_[n]) || rest_[n] == '.')) ++n;
      out = rest_.substr(0, n);
      rest_.remove_prefix(n);
      if (out.empty()) return fail("the local part is empty");
      const bool dots = out.front() == '.' || out.back() == '.' || out.find("..") != std::string::npos;
      if (dots && options_.strict) return fail("a dot is misplaced in the local part");
    }
    if (failed_) return;
    if (options_.strict && begin.size() - rest_.size() > kMaxLocalPart)
      return fail("the local part is longer than 64 octets");
    if (!is_ascii(out)) check_utf8(out);
  }

  void quoted(std::string &out) {
    for (;;) {
      if (rest_.empty()) return fail("a quoted local part does not end");
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') break;
      if (c == '\\') {
        if (rest_.empty()) return fail("a quoted local part does not end");
        c = rest_.front();
        rest_.remove_prefix(1);
        if (high(c)) return fail("a backslash may stand before ASCII only");
      }
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return fail("a control character is in the local part");
      out.push_back(c);
    }
    if (out.empty()) fail("the local part is empty");
  }

  bool labels(std::string_view text) {
    for (std::size_t from = 0; from <= text.size();) {
      const auto to = std::min(text.find('.', from), text.size());
      const auto label = text.substr(from, to - from);
      // A U-label's own limit is that of its A-label, which IDNA checks.
      if (label.empty() || (label.size() > kMaxLabel && is_ascii(label)) || label.front() == '-' ||
          label.back() == '-') {
        fail("the domain is malformed");
        return false;
      }
      from = to + 1;
    }
    return true;
  }

  void literal(std::string &out) {
    const auto close = rest_.find(']');
    if (close == std::string_view::npos || close > kMaxDomain) return fail("the address literal does not end in ']'");
    const auto ip = literal_address(rest_.substr(0, close + 1));
    if (ip.empty()) return fail("the address literal is no IP address");
    rest_.remove_prefix(close + 1);
    out = address_literal(ip);
  }

  bool check_utf8(std::string_view text) {
    if (!options_.smtputf8) {
      fail("the address is not ASCII and SMTPUTF8 was not requested", {5, 6, 7});
    } else if (!valid_utf8(text)) {
      fail("the address is not valid UTF-8");
    }
    return !failed_;
  }

  std::string_view rest_;
  Side side_;
  PathOptions options_;
  bool failed_ = false;
  Error error_;
};

Result<ParsedPath> parse_path(std::string_view text, Side side, PathOptions options) {
  Reader reader{text, side, options};
  ParsedPath parsed;
  parsed.address = reader.path();
  parsed.rest = reader.rest();
  if (!parsed.rest.empty() && parsed.rest.front() != ' ') reader.fail("text follows the address without a space");
  if (reader.failed()) return reader.error();
  return parsed;
}

}  // namespace

Result<ParsedPath> parse_reverse_path(std::string_view text, PathOptions options) {
  return parse_path(text, Side::Sender, options);
}

Result<ParsedPath> parse_forward_path(std::string_view text, PathOptions options) {
  return parse_path(text, Side::Recipient, options);
}

Result<Address> parse_mailbox(std::string_view text, PathOptions options) {
  Reader reader{text, Side::Recipient, options};
  Address address;
  reader.mailbox(address);
  if (!reader.rest().empty()) reader.fail("text follows the address");
  if (reader.failed()) return reader.error();
  return address;
}

Result<std::string> parse_domain(std::string_view text, bool smtputf8) {
  Reader reader{text, Side::Recipient, {.smtputf8 = smtputf8}};
  std::string domain;
  reader.domain(domain);
  if (!reader.rest().empty()) reader.fail("the domain is malformed");
  if (reader.failed()) return reader.error();
  return domain;
}

bool needs_quoting(std::string_view local) {
  if (local.empty() || local.front() == '.' || local.back() == '.') return true;
  for (std::size_t i = 0; i < local.size(); ++i) {
    if (local[i] == '.' ? local[i - 1] == '.' : !atext(local[i])) return true;
  }
  return false;
}

std::string quote_local(std::string_view local) {
  if (!needs_quoting(local)) return std::string{local};
  std::string out = "\"";
  for (const char c : local) {
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  out.push_back('"');
  return out;
}

std::string to_string(const Address &address) {
  if (address.null()) return {};
  auto out = quote_local(address.local);
  if (!address.domain.empty()) out.append(1, '@').append(address.domain);
  return out;
}

SplitAddress split_address(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos) return {text, {}, false};
  return {text.substr(0, at), text.substr(at + 1), true};
}

std::optional<std::string> ascii_domain(std::string_view domain) {
  if (domain.starts_with('[')) return lower(domain);
  if (domain.ends_with('.')) domain.remove_suffix(1);
  std::string out;
  if (is_ascii(domain)) {
    out = lower(domain);
  } else {
    if (domain.size() > 4 * kMaxDomain || domain.find('\0') != std::string_view::npos) return std::nullopt;
    const std::string text{domain};
    char *converted = nullptr;
    const int rc = idn2_to_ascii_8z(text.c_str(), &converted, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
    const std::unique_ptr<char, void (*)(void *)> owned{converted, idn2_free};
    if (rc != IDN2_OK) return std::nullopt;
    out = lower(converted);
  }
  if (!valid_name(out)) return std::nullopt;
  return out;
}

bool is_postmaster(std::string_view local) { return equals_nocase(local, "postmaster"); }

bool same_mailbox(const Address &a, const Address &b) {
  if (a.local != b.local && !(is_postmaster(a.local) && is_postmaster(b.local))) return false;
  if (a.domain == b.domain) return true;
  const auto x = ascii_domain(a.domain), y = ascii_domain(b.domain);
  return x && y && *x == *y;
}

std::string address_literal(std::string_view ip) {
  const std::string text{ip};
  unsigned char bytes[16];
  char canonical[INET6_ADDRSTRLEN];
  if (text.size() != std::strlen(text.c_str())) return {};
  if (inet_pton(AF_INET, text.c_str(), bytes) == 1) return "[" + text + "]";
  if (inet_pton(AF_INET6, text.c_str(), bytes) == 1 && inet_ntop(AF_INET6, bytes, canonical, sizeof canonical)) {
    return std::string{"[IPv6:"} + canonical + "]";
  }
  return {};
}

std::string literal_address(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != '[' || literal.back() != ']') return {};
  auto inside = literal.substr(1, literal.size() - 2);
  const bool v6 = inside.size() > 5 && equals_nocase(inside.substr(0, 5), "IPv6:");
  if (v6) inside.remove_prefix(5);
  const auto canonical = address_literal(inside);
  if (canonical.empty() || v6 != canonical.starts_with("[IPv6:")) return {};
  return canonical.substr(v6 ? 6 : 1, canonical.size() - (v6 ? 7 : 2));
}

}  // namespace mansio
