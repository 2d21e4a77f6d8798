#include "kernel/config/syntax.hpp"

#include <algorithm>
#include <array>

#include "kernel/config/feedback.hpp"
#include "kernel/config/network.hpp"
#include "kernel/config/notify.hpp"
#include "kernel/config/pattern.hpp"
#include "kernel/config/rate.hpp"
#include "kernel/config/values.hpp"
#include "kernel/config/weighted.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::config {
namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool canonical_line(std::string &text) { return !has_control(text); }

bool canonical_domain(std::string &text) {
  auto domain = text.starts_with('[') ? std::nullopt : ascii_domain(text);
  if (!domain) return false;
  text = std::move(*domain);
  return true;
}

// "[192.0.2.1]", "[IPv6:2001:db8::1]": RFC 5321 section 4.1.3.
bool canonical_literal(std::string &text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  const auto inner = lower(std::string_view{text}.substr(1, text.size() - 2));
  const bool v6 = inner.starts_with("ipv6:");
  const auto address = std::string_view{inner}.substr(v6 ? 5 : 0);
  if (v6 != (address.find(':') != address.npos) || !parse_ip(address)) return false;
  text = '[' + inner + ']';
  return true;
}

bool canonical_pattern(std::string &text) {
  if (text.starts_with('[')) return canonical_literal(text);
  const bool subdomains = text.starts_with('.');
  std::string domain = subdomains ? text.substr(1) : text;
  if (!canonical_domain(domain)) return false;
  text = subdomains ? '.' + domain : domain;
  return true;
}

bool canonical_network(std::string &text) {
  const auto network = parse_network(text);
  if (network) text = to_string(*network);
  return network.has_value();
}

bool canonical_ip(std::string &text) {
  if (!parse_ip(text)) return false;
  if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
  return true;
}

bool canonical_listen(std::string &text) {
  const auto address = parse_host_port(text);
  return address && (address->host == "*" || parse_ip(address->host));
}

bool canonical_server(std::string &text) {
  if (parse_ip(text)) return true;
  const auto address = parse_host_port(text);
  return address && parse_ip(address->host);
}

// An enhanced code of class 4 or 5 and a text, "5.1.1 no such user".
bool is_reason(std::string_view text) {
  if (has_control(text) || text.size() > 400 || (!text.starts_with('4') && !text.starts_with('5'))) return false;
  const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  std::size_t at = 1;
  for (int part = 0; part < 2; ++part) {
    if (at >= text.size() || text[at++] != '.') return false;
    const auto first = at;
    while (digit(at)) ++at;
    if (at == first || at - first > 3 || (text[first] == '0' && at - first > 1)) return false;
  }
  return at + 1 < text.size() && text[at] == ' ';
}

bool canonical_nexthop(std::string &text) {
  if (text.empty() || is_reason(text)) return true;
  if (has_control(text) || is_reason(text + " x")) return false;  // a code alone is no domain
  if (text.starts_with("unix:")) return text.starts_with("unix:/") && text.size() > 6;
  std::string_view host = text, port;
  const bool bracketed = text.front() == '[';
  if (bracketed) {
    const auto close = text.find(']');
    if (close == text.npos) return false;
    host = std::string_view{text}.substr(1, close - 1);
    port = std::string_view{text}.substr(close + 1);
  } else if (const auto colon = text.find(':'); colon != text.npos) {
    host = std::string_view{text}.substr(0, colon);
    port = std::string_view{text}.substr(colon);
  }
  std::string name{host};
  if (bracketed && parse_ip(host)) {
    name = lower(host);
  } else if (!canonical_domain(name)) {
    return false;
  }
  if (!port.empty()) {
    if (port.front() != ':') return false;
    const auto number = parse_integer(port.substr(1));
    if (!number || *number < 1 || *number > 65535) return false;
  }
  text = bracketed ? '[' + name + ']' + std::string{port} : name + std::string{port};
  return true;
}

// local@domain with the domain in its canonical form; `empty_local` lets "@domain" through.
bool canonical_address(std::string &text, bool empty_local) {
  const auto at = text.rfind('@');
  if (at == text.npos || has_control(text) || (at == 0 && !empty_local)) return false;
  std::string domain = text.substr(at + 1);
  if (domain.starts_with('.') || !canonical_pattern(domain)) return false;
  text = text.substr(0, at + 1) + domain;
  return true;
}

bool canonical_recipient(std::string &text) { return canonical_address(text, false); }
bool canonical_sender(std::string &text) { return text == "<>" || canonical_address(text, true); }
bool canonical_local(std::string &text) {
  if (text.find('@') != text.npos) return canonical_address(text, true);
  return !text.empty() && !has_control(text);
}
bool canonical_mailbox(std::string &text) {
  if (text.find('@') != text.npos) return canonical_address(text, false);
  return !text.empty() && !has_control(text) && text.find_first_of(" <>,;:\\\"()[]") == text.npos;
}

// A reply of class 4 or 5 with an enhanced code of the same class and a text: RFC 2034.
bool canonical_refusal(std::string &text) {
  const auto digit = [&](std::size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
  if (!digit(0) || !digit(1) || text[1] > '5' || !digit(2) || text.size() < 5 || text[3] != ' ') return false;
  return text[4] == text[0] && is_reason(std::string_view{text}.substr(4));
}

bool canonical_log_target(std::string &text) {
  return text == "stderr" || text == "syslog" || (text.starts_with('/') && !has_control(text));
}

bool word(std::string_view text, std::size_t most) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// No blank, colon or bracket: with those in it a log line could not be taken apart.
bool canonical_syslog_name(std::string &text) {
  return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
    return word({&c, 1}, 1) || c == '.' || c == '/';
  });
}

bool canonical_plugin(std::string &text) { return word(text, 64); }
bool canonical_transport(std::string &text) { return is_table_name(text); }
bool canonical_auth(std::string &text) { return text.empty() || is_table_name(text); }
bool canonical_content_filter(std::string &text) {
  const auto colon = text.find(':');
  if (text.empty() || colon == text.npos) return text.empty() || is_table_name(text);
  auto nexthop = text.substr(colon + 1);
  if (!is_table_name(std::string_view{text}.substr(0, colon)) || is_reason(nexthop) || !canonical_nexthop(nexthop))
    return false;
  text.resize(nexthop.empty() ? colon : colon + 1);
  text += nexthop;
  return true;
}
bool canonical_receive_override(std::string &text) {
  return text == "no_unknown_recipient_checks" || text == "no_address_mappings" || text == "no_header_body_checks" ||
         text == "no_milters";
}
bool canonical_rewriting(std::string &text) { return text == "canonical" || text == "virtual" || text == "generic"; }
bool canonical_address_class(std::string &text) {
  return text == "envelope_sender" || text == "envelope_recipient" || text == "header_sender" ||
         text == "header_recipient";
}
bool canonical_parent_match(std::string &text) { return text == "access_maps" || text == "transport_maps"; }
bool canonical_user(std::string &text) { return word(text, 32); }
bool canonical_keyword(std::string &text) {
  text = lower(text);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return word(text, 32);
}
// RFC 5322 section 3.6.8.
bool canonical_field_name(std::string &text) {
  return text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != ':'; });
}
bool canonical_notify_class(std::string &text) { return notify_class(text) != 0; }

bool canonical_destination(std::string &text) {
  auto pattern = text;
  if (canonical_pattern(pattern)) return text = std::move(pattern), true;
  return !text.empty() && canonical_nexthop(text);
}
bool canonical_rate(std::string &text) { return parse_rate(text).has_value(); }
bool canonical_date(std::string &text) { return parse_date(text).has_value(); }
bool canonical_weighted(std::string &text) { return !has_control(text) && parse_weighted(text); }
bool canonical_reply_code(std::string &text) {
  std::string_view rest = text;
  if (rest.ends_with('*')) rest.remove_suffix(1);
  return !rest.empty() && (rest.front() == '4' || rest.front() == '5') && rest.size() <= 9 &&
         rest.find_first_not_of("0123456789.") == rest.npos;
}
bool canonical_regular(std::string &text) { return !text.empty() && Pattern::compile(text); }
bool canonical_feedback(std::string &text) { return parse_feedback(text).has_value(); }

}  // namespace

bool is_table_name(std::string_view name) { return word(name, 32); }

std::optional<HostPort> parse_host_port(std::string_view text, std::uint16_t default_port) {
  HostPort out;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == text.npos) return std::nullopt;
    out.host = text.substr(1, close - 1);
    if (out.host.find(':') == out.host.npos) return std::nullopt;  // brackets are for IPv6
    port = text.substr(close + 1);
    if (!port.empty() && port.front() != ':') return std::nullopt;
  } else {
    const auto colon = text.find(':');
    out.host = text.substr(0, colon);
    if (colon != text.npos) port = text.substr(colon);
  }
  if (out.host.empty()) return std::nullopt;
  if (port.empty()) {
    out.port = default_port;
    return default_port == 0 ? std::nullopt : std::optional{out};
  }
  const auto number = parse_integer(port.substr(1));
  if (!number || *number < 1 || *number > 65535) return std::nullopt;
  out.port = static_cast<std::uint16_t>(*number);
  return out;
}

const Syntax kLine{"text", "a text without control characters", canonical_line};
const Syntax kHostname{"host name", "a host name such as \"mail.example.com\"", canonical_domain};
const Syntax kDomain{"domain", "a domain such as \"example.com\"", canonical_domain};
const Syntax kDomainPattern{
    "domain pattern", "a domain such as \"example.com\", or \".example.com\" for its subdomains", canonical_pattern};
const Syntax kNetwork{"network",
                      "a network such as \"192.0.2.0/24\" or \"[2001:db8::]/32\" with no bits set behind the prefix",
                      canonical_network};
const Syntax kIp{"IP address", "an IP address such as \"192.0.2.1\" or \"2001:db8::1\"", canonical_ip};
const Syntax kListen{"listen address", "an address and port such as \"127.0.0.1:25\", \"[::1]:25\" or \"*:25\"",
                     canonical_listen};
const Syntax kDnsServer{
    "server address", "an IP address with or without port, such as \"127.0.0.1:53\" or \"[::1]:53\"", canonical_server};
const Syntax kNexthop{"next hop",
                      "a next hop: \"example.com\" (by its MX), \"[host]:port\" (that host), \"unix:/path\", or "
                      "\"5.1.1 reason\" for transport-error",
                      canonical_nexthop};
const Syntax kRecipient{"address", "an address such as \"user@example.com\"", canonical_recipient};
const Syntax kLocalUser{"local user", "\"user\", \"user@example.com\" or \"@example.com\"", canonical_local};
const Syntax kSender{"sender pattern", "\"user@example.com\", \"@example.com\" or \"<>\" for the null sender",
                     canonical_sender};
const Syntax kMailbox{"mailbox", "\"user\" or \"user@example.com\"", canonical_mailbox};
const Syntax kRefusal{"refusal",
                      "a reply such as \"550 5.1.1 no such user\": code, enhanced code of the same class, text",
                      canonical_refusal};
const Syntax kLogTarget{"log target", "\"stderr\", \"syslog\" or an absolute path", canonical_log_target};
const Syntax kSyslogName{"syslog name", "at most 32 letters, digits, '-', '_', '.' and '/', such as \"mansio\"",
                         canonical_syslog_name};
const Syntax kPlugin{"plugin", "a plugin's name such as \"transport-smtp\" or \"lua\"", canonical_plugin};
const Syntax kTableName{"table", "the name of a [lookup.NAME] table", canonical_transport};
const Syntax kRewriting{"rewriting", "\"canonical\", \"virtual\" or \"generic\"", canonical_rewriting};
const Syntax kAddressClass{"class of addresses",
                           "\"envelope_sender\", \"envelope_recipient\", \"header_sender\" or \"header_recipient\"",
                           canonical_address_class};
const Syntax kParentMatch{"use of tables", "\"access_maps\" or \"transport_maps\"", canonical_parent_match};
const Syntax kFilterName{"name", "the name of a table such as [filter.NAME]", canonical_transport};
const Syntax kRateName{"rate", "the name of a [rate.NAME] table, or \"rate-local\"", canonical_transport};
const Syntax kAuthName{"name", "the name of an [auth.NAME] table, or \"\" for none", canonical_auth};
const Syntax kTransportName{"transport", "the name of a [transport.NAME] table", canonical_transport};
const Syntax kContentFilter{
    "content filter", "\"TRANSPORT\" or \"TRANSPORT:NEXTHOP\", such as \"dspam:[127.0.0.1]:10024\", or \"\" for none",
    canonical_content_filter};
const Syntax kOverride{
    "override", "\"no_unknown_recipient_checks\", \"no_address_mappings\", \"no_header_body_checks\" or \"no_milters\"",
    canonical_receive_override};
const Syntax kEhloKeyword{"EHLO keyword", "an EHLO keyword such as \"CHUNKING\"", canonical_keyword};
const Syntax kFieldName{"header field", "the name of a header field such as \"X-Campaign\", or \"\" for none",
                        canonical_field_name};
const Syntax kUser{"user", "the name of a system user", canonical_user};
const Syntax kNotifyClass{
    "notify class",
    "\"bounce\", \"2bounce\", \"data\", \"delay\", \"policy\", \"protocol\", \"resource\" or \"software\"",
    canonical_notify_class};
const Syntax kDestination{
    "destination",
    "a domain such as \"example.com\", \".example.com\" for its subdomains, or a next hop such as "
    "\"[192.0.2.1]:25\"",
    canonical_destination};
const Syntax kRate{"rate", "a number in a time such as \"10/s\", \"100/m\" or \"500/15m\"", canonical_rate};
const Syntax kDate{"date", "a date such as \"2026-11-30\"", canonical_date};
const Syntax kWeighted{"weighted name", "a name with its weight such as \"new=1\", from 1 to 1000000, or without",
                       canonical_weighted};
const Syntax kReplyCode{"reply code", "a reply code such as \"421\", \"4.7.1\" or \"4.7.*\"", canonical_reply_code};
const Syntax kPattern{"regular expression", "a Perl-compatible regular expression", canonical_regular};
const Syntax kFeedback{"feedback", "\"1\", \"0.5\", \"1/5\", \"1/concurrency\" or \"1/sqrt_concurrency\", from 0 to 1",
                       canonical_feedback};

}  // namespace mansio::config
