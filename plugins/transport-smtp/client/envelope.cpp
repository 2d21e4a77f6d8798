#include "plugins/transport-smtp/client/envelope.hpp"

#include <algorithm>
#include <cstdio>

#include "plugins/transport-smtp/client/nexthop.hpp"
#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_atext(char c) {
  return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || static_cast<unsigned char>(c) > 127 ||
         std::string_view{"!#$%&'*+-/=?^_`{|}~"}.find(c) != std::string_view::npos;
}

bool is_dot_string(std::string_view local) {
  bool atom = false;
  for (const char c : local) {
    if (c == '.' && !atom) return false;
    if (c != '.' && !is_atext(c)) return false;
    atom = c != '.';
  }
  return atom;
}

bool is_quoted_string(std::string_view local) {
  if (local.size() < 2 || local.front() != '"' || local.back() != '"') return false;
  const auto inside = local.substr(1, local.size() - 2);
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '"') return false;
    if (inside[i] == '\\' && ++i == inside.size()) return false;
  }
  return true;
}

std::string in_quotes(std::string_view local) {
  std::string out = "\"";
  for (const char c : local) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out += '"';
}

}  // namespace

std::string xtext(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 33 || u > 126 || c == '+' || c == '=') {
      out += '+';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> orcpt_value(std::string_view orcpt, bool smtputf8) {
  const auto semicolon = orcpt.find(';');
  if (semicolon == 0 || semicolon == std::string_view::npos) return std::nullopt;
  const auto type = orcpt.substr(0, semicolon);
  const auto address = orcpt.substr(semicolon + 1);
  if (!std::all_of(type.begin(), type.end(), [](char c) { return is_atext(c) && !has_eight_bit({&c, 1}); }))
    return std::nullopt;
  std::string out{type};
  out += ';';
  if (!equal_fold(type, "utf-8")) {
    if (has_eight_bit(address)) return std::nullopt;
    return out + xtext(address);
  }
  if (!valid_utf8(address)) return std::nullopt;
  for (std::size_t i = 0; i < address.size();) {
    const auto u = static_cast<unsigned char>(address[i]);
    const std::size_t n = u < 0x80 ? 1 : u < 0xe0 ? 2 : u < 0xf0 ? 3 : 4;
    const bool escape = address.substr(i).starts_with("\\x{");  // already in RFC 6533's form
    if (escape || (n == 1 && u > 32 && u < 127 && u != '+' && u != '=' && u != '\\') || (n > 1 && smtputf8)) {
      out += address.substr(i, n);
    } else {
      unsigned point = n == 1 ? u : u & (0xffu >> (n + 1));
      for (std::size_t k = 1; k < n; ++k) point = point << 6 | (static_cast<unsigned char>(address[i + k]) & 0x3fu);
      char hex[16];
      std::snprintf(hex, sizeof hex, "\\x{%02X}", point);
      out += hex;
    }
    i += n;
  }
  return out;
}

std::optional<std::string> wire_address(std::string_view address, bool utf8) {
  if (std::any_of(address.begin(), address.end(), is_control)) return std::nullopt;
  if (has_eight_bit(address) && !valid_utf8(address)) return std::nullopt;
  const auto local = local_of(address);
  const auto domain = domain_of(address);
  if (local.empty() || (!utf8 && has_eight_bit(local))) return std::nullopt;
  std::string out = is_dot_string(local) || is_quoted_string(local) ? std::string{local} : in_quotes(local);
  if (address.rfind('@') == std::string_view::npos) return out;  // "postmaster"
  out += '@';
  if (!utf8 && has_eight_bit(domain)) {
    const auto ascii = to_ascii_domain(domain);
    if (!ascii) return std::nullopt;
    return out + *ascii;
  }
  if (domain.empty() || domain.find_first_of("<> ") != std::string_view::npos) return std::nullopt;
  return out += domain;
}

std::string_view priority_of(const plugin::Delivery &delivery) {
  for (const auto &[name, value] : delivery.metadata) {
    if (name != "priority") continue;
    const auto digits = std::string_view{value}.substr(value.starts_with('-') ? 1 : 0);
    if (digits.size() == 1 && digit(digits[0]) && digits[0] != '0') return value;
  }
  return {};
}

EnvelopePlan plan_envelope(const plugin::Delivery &delivery, const Capabilities &caps, std::uint64_t size,
                           bool eight_bit) {
  EnvelopePlan plan;
  const bool header = delivery.has(MANSIO_MSG_SMTPUTF8) && delivery.has(MANSIO_MSG_EIGHT_BIT_HEADER);
  const bool address =
      has_eight_bit(delivery.sender) || std::any_of(delivery.recipients.begin(), delivery.recipients.end(),
                                                    [](const auto &r) { return has_eight_bit(r.address); });
  plan.smtputf8 = caps.smtputf8 && (header || address);
  if (header && !caps.smtputf8) plan.impossible = true;

  std::string sender;
  if (!delivery.sender.empty()) {
    const auto wire = wire_address(delivery.sender, plan.smtputf8);
    if (!wire) {
      const bool utf8 = !plan.smtputf8 && wire_address(delivery.sender, true);
      (utf8 ? plan.impossible : plan.bad_sender) = true;
      return plan;
    }
    sender = *wire;
  }
  plan.mail = "MAIL FROM:<" + sender + '>';
  if (caps.size) plan.mail += " SIZE=" + std::to_string(size);
  if (caps.eight_bit_mime && eight_bit) plan.mail += " BODY=8BITMIME";
  if (plan.smtputf8) plan.mail += " SMTPUTF8";
  if (caps.mt_priority)
    if (const auto priority = priority_of(delivery); !priority.empty())
      plan.mail.append(" MT-PRIORITY=").append(priority);
  if (caps.require_tls && delivery.has(MANSIO_MSG_REQUIRETLS)) plan.mail += " REQUIRETLS";
  if (caps.dsn) {
    if (delivery.ret == MANSIO_RET_FULL) plan.mail += " RET=FULL";
    if (delivery.ret == MANSIO_RET_HDRS) plan.mail += " RET=HDRS";
    if (!delivery.envid.empty()) plan.mail += " ENVID=" + xtext(delivery.envid);
  }
  plan.mail += "\r\n";
  return plan;
}

bool append_rcpt(std::string &to, const plugin::Recipient &recipient, const Capabilities &caps, bool smtputf8) {
  const auto wire = wire_address(recipient.address, smtputf8);
  if (!wire) return false;
  to += "RCPT TO:<";
  to += *wire;
  to += '>';
  if (caps.dsn) {
    if (recipient.notify & MANSIO_NOTIFY_NEVER) {
      to += " NOTIFY=NEVER";
    } else if (recipient.notify) {
      to += " NOTIFY=";
      const char *comma = "";
      for (const auto &[bit, word] :
           {std::pair{MANSIO_NOTIFY_SUCCESS, "SUCCESS"}, std::pair{MANSIO_NOTIFY_FAILURE, "FAILURE"},
            std::pair{MANSIO_NOTIFY_DELAY, "DELAY"}}) {
        if (!(recipient.notify & bit)) continue;
        to += comma;
        to += word;
        comma = ",";
      }
    }
    // Without ORCPT of the client's, the address before our rewriting is the one its sender knows.
    const auto orcpt = !recipient.orcpt.empty()      ? recipient.orcpt
                       : !recipient.original.empty() ? "rfc822;" + recipient.original
                                                     : std::string{};
    if (!orcpt.empty()) {
      if (const auto value = orcpt_value(orcpt, smtputf8)) to += " ORCPT=" + *value;
    }
  }
  to += "\r\n";
  return true;
}

}  // namespace mansio::smtp
