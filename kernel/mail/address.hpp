// Addresses of the envelope: RFC 5321 paths as MAIL and RCPT give them, with RFC 6531's UTF-8.
//
// The text form used everywhere else (Envelope::sender, Recipient::address, configuration, log) is what
// to_string() prints: the local part quoted only where RFC 5321 needs it, the domain in ASCII lower case, address
// literals in one spelling. "" is the null path. Because a bare '@' in a local part is always quoted, the last
// '@' of that form divides it, and two forms that differ are different mailboxes but for IDNA (same_mailbox).
//
// Pure functions on untrusted bytes; errors are values that fit an SMTP reply: Status::Fail with 5.1.7 (sender)
// or 5.1.3 (recipient) for bad syntax, 5.6.7 for UTF-8 without SMTPUTF8, 5.1.2 for a domain that IDNA refuses.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"

namespace mansio {

// RFC 5321 section 4.5.3.1, in octets. A path counts its angle brackets.
inline constexpr std::size_t kMaxLocalPart = 64;
inline constexpr std::size_t kMaxDomain = 255;
inline constexpr std::size_t kMaxPath = 256;

struct Address {
  std::string local;   // without quotes and backslashes
  std::string domain;  // "example.com", "münchen.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"; "" for <postmaster>

  bool null() const { return local.empty() && domain.empty(); }
  bool literal() const { return domain.starts_with('['); }
  bool operator==(const Address &) const = default;
};

struct PathOptions {
  bool smtputf8 = false;  // MAIL carried SMTPUTF8
  // false: also without angle brackets, dots anywhere in the local part, and as long a one as the path may hold:
  // senders that name a recipient of theirs (VERP) are often above 64 octets (RFC 5321 section 4.5.3.1 asks for no
  // limit).
  bool strict = true;
};

struct ParsedPath {
  Address address;
  std::string_view rest;  // what follows the path, borrowed: "" or " SIZE=1000 ..."
};

// Reads the path at the beginning of `text`, which is the command's argument after "FROM:" or "TO:".
// Source routes are checked and dropped, as RFC 5321 appendix C asks of servers.
Result<ParsedPath> parse_reverse_path(std::string_view text, PathOptions options = {});  // "<>" is the null path
Result<ParsedPath> parse_forward_path(std::string_view text, PathOptions options = {});  // "<postmaster>" is allowed

// The whole of `text` as a mailbox without angle brackets (configuration, stored envelopes).
Result<Address> parse_mailbox(std::string_view text, PathOptions options = {.smtputf8 = true});

// A domain name or address literal, as HELO and MAIL take it: checked, ASCII letters lowered.
Result<std::string> parse_domain(std::string_view text, bool smtputf8 = true);

std::string to_string(const Address &address);    // "" for the null path, "postmaster" without a domain
std::string quote_local(std::string_view local);  // quoted if it needs to be
bool needs_quoting(std::string_view local);       // it is no RFC 5321 Dot-string

// The parts of the text form; no checks, no copies. `local` is still quoted.
struct SplitAddress {
  std::string_view local, domain;
  bool has_domain = false;  // there was an '@', whatever follows it
};
SplitAddress split_address(std::string_view text);

// The domain in the one form that comparisons and DNS use: A-labels (IDNA2008, non-transitional), lower case, no final
// dot. Address literals come back lowered. nullopt when it is no domain name; underscores are let through, because
// people do use them in names.
std::optional<std::string> ascii_domain(std::string_view domain);

// Local parts octet for octet (RFC 5321 section 2.4) but for "postmaster", which has no case (section 4.5.1).
bool same_mailbox(const Address &a, const Address &b);
bool is_postmaster(std::string_view local);

// The literal of an IP address in text form: "[192.0.2.1]", "[IPv6:2001:db8::1]"; "" if it is none.
std::string address_literal(std::string_view ip);
// The other way: the address inside a literal, "" if it is none.
std::string literal_address(std::string_view literal);

}  // namespace mansio
