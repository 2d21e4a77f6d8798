#include "kernel/route/access.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <optional>
#include <utility>

#include "kernel/mail/address.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/mail/utf8.hpp"
#include "kernel/route/text.hpp"

namespace mansio::route {
namespace {

constexpr std::size_t kLongestField = 998;  // RFC 5322 section 2.1.1: of a line

std::string_view first_word(std::string_view &rest) {
  const auto end = std::min(rest.find_first_of(" \t"), rest.size());
  const auto word = rest.substr(0, end);
  rest = trimmed(rest.substr(end));
  return word;
}

bool digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<std::uint16_t> number(std::string_view text) {
  std::uint16_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n > 999) return std::nullopt;
  return n;
}

// "5.7.1" at the beginning of `rest`, if it is of that class; taken off.
std::optional<EnhancedStatus> take_enhanced(std::string_view &rest, std::uint8_t cls) {
  auto after = rest;
  const auto word = first_word(after);
  const auto one = word.find('.'), two = word.rfind('.');
  if (one == word.npos || one == two) return std::nullopt;
  const auto c = number(word.substr(0, one)), s = number(word.substr(one + 1, two - one - 1)),
             d = number(word.substr(two + 1));
  if (!c || !s || !d || *c != cls) return std::nullopt;
  rest = after;
  return EnhancedStatus{cls, *s, *d};
}

AccessAction refusing(AccessKind kind, std::uint16_t code, std::string_view rest) {
  AccessAction action;
  action.kind = kind;
  const auto cls = static_cast<std::uint8_t>(code / 100);
  action.refusal.code = code;
  action.refusal.enhanced = take_enhanced(rest, cls).value_or(EnhancedStatus{cls, 7, 1});
  action.refusal.text = printable(rest, false);
  return action;
}

Error wrong(std::string_view text, std::string_view why) {
  return {Status::BadConfig, fmt::format("\"{}\" {}", printable(text.substr(0, 100), false), why)};
}

Result<AccessAction> with_address(AccessKind kind, std::string_view text, std::string_view rest) {
  const auto address = parse_mailbox(rest);
  if (!address) return wrong(text, "needs an address");
  return AccessAction{kind, {}, to_string(*address)};
}

Result<AccessAction> prepend(std::string_view text, std::string_view rest) {
  const auto name = field_name_length(rest);
  if (name == 0 || rest.size() > kLongestField || !is_ascii(rest) || printable(rest, false) != rest)
    return wrong(text, "needs a header field, \"Name: text\", of at most 998 printable ASCII characters");
  return AccessAction{AccessKind::Prepend, {}, std::string{rest}};
}

constexpr std::pair<std::string_view, Restriction> kRestrictions[] = {
    {"permit", Restriction::Permit},
    {"reject", Restriction::Reject},
    {"defer", Restriction::Defer},
    {"permit_mynetworks", Restriction::PermitMynetworks},
    {"permit_sasl_authenticated", Restriction::PermitSaslAuthenticated},
    {"reject_unauth_destination", Restriction::RejectUnauthDestination},
    {"defer_unauth_destination", Restriction::RejectUnauthDestination},
};

// "permit_mynetworks, reject"
Result<AccessAction> restricting(std::string_view text) {
  constexpr std::string_view kBetween = ", \t";
  AccessAction action;
  action.kind = AccessKind::Restrict;
  for (auto rest = text; !rest.empty();) {
    const auto word = rest.substr(0, std::min(rest.find_first_of(kBetween), rest.size()));
    rest.remove_prefix(word.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(kBetween), rest.size()));
    if (word.empty()) continue;  // a comma at the beginning
    const auto *const known = std::find_if(std::begin(kRestrictions), std::end(kRestrictions),
                                           [&](const auto &r) { return equals_nocase(r.first, word); });
    if (known == std::end(kRestrictions))
      return wrong(text,
                   "is no action of an access table, nor a list of permit_mynetworks, permit_sasl_authenticated, "
                   "reject_unauth_destination, permit, reject and defer, which are the restrictions that there are");
    action.restrictions.push_back(known->second);
  }
  if (action.restrictions.empty()) return wrong(text, "is no action of an access table");
  return action;
}

// Whether there is such a transport is for those to say who know the settings.
Result<AccessAction> filtering(std::string_view text, std::string_view rest) {
  const bool good = rest.find(':') != rest.npos && rest.front() != ':' && rest.size() <= kLongestField &&
                    std::all_of(rest.begin(), rest.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  if (!good) return wrong(text, "needs transport:destination, such as \"scan:[127.0.0.1]:10025\"");
  return AccessAction{AccessKind::Filter, {}, std::string{rest}};
}

}  // namespace

Result<AccessAction> parse_access(std::string_view text, AccessCodes codes) {
  text = trimmed(text);
  auto rest = text;
  const auto word = first_word(rest);
  const auto is = [&](std::string_view name) { return equals_nocase(word, name); };
  if (digits(word)) {
    // As Postfix has it: a number alone lets pass, whatever it is.
    if (rest.empty()) return AccessAction{AccessKind::Ok, {}, {}};
    const auto code = number(word);
    if (code && *code >= 400 && *code <= 599) return refusing(AccessKind::Refuse, *code, rest);
    return wrong(text, "begins with a number that is no code from 400 to 599");
  }
  if (is("OK") || is("PERMIT")) return AccessAction{AccessKind::Ok, {}, {}};
  if (is("DUNNO")) return AccessAction{AccessKind::Dunno, {}, {}};
  if (is("REJECT")) return refusing(AccessKind::Refuse, codes.reject, rest);
  if (is("DEFER")) return refusing(AccessKind::Refuse, codes.defer, rest);
  if (is("DEFER_IF_PERMIT")) return refusing(AccessKind::DeferIfPermit, codes.defer, rest);
  if (is("DEFER_IF_REJECT")) return refusing(AccessKind::DeferIfReject, codes.defer, rest);
  if (is("DISCARD")) return AccessAction{AccessKind::Discard, {}, printable(rest, false)};
  if (is("HOLD")) return AccessAction{AccessKind::Hold, {}, printable(rest, false)};
  if (is("INFO")) return AccessAction{AccessKind::Info, {}, printable(rest, false)};
  if (is("WARN")) return AccessAction{AccessKind::Warn, {}, printable(rest, false)};
  if (is("REDIRECT")) return with_address(AccessKind::Redirect, text, rest);
  if (is("BCC")) return with_address(AccessKind::Bcc, text, rest);
  if (is("PREPEND")) return prepend(text, rest);
  if (is("FILTER")) return filtering(text, rest);
  return restricting(text);
}

AccessAction decided(AccessAction action, AccessClient client, AccessCodes codes) {
  if (action.kind != AccessKind::Restrict) return action;
  for (const auto restriction : action.restrictions) {
    switch (restriction) {
      case Restriction::Permit:
        return {AccessKind::Ok, {}, {}};
      case Restriction::Reject:
        return refusing(AccessKind::Refuse, codes.reject, {});
      case Restriction::Defer:
        return refusing(AccessKind::Refuse, codes.defer, {});
      case Restriction::PermitMynetworks:
        if (client.in_mynetworks) return {AccessKind::Ok, {}, {}};
        break;
      case Restriction::PermitSaslAuthenticated:
        if (client.authenticated) return {AccessKind::Ok, {}, {}};
        break;
      case Restriction::RejectUnauthDestination:
        break;
    }
  }
  return {AccessKind::Dunno, {}, {}};
}

EnhancedStatus fitting(EnhancedStatus status, AccessSubject subject) {
  if (status.subject != 1) return status;
  switch (subject) {
    case AccessSubject::Sender:
      if (status.detail == 3)
        status.detail = 7;  // bad syntax of a mailbox
      else if (status.detail == 2)
        status.detail = 8;  // bad system
      else if (status.detail >= 1 && status.detail <= 6)
        status.detail = 0;
      break;
    case AccessSubject::Recipient:
      if (status.detail == 7)
        status.detail = 3;
      else if (status.detail == 8)
        status.detail = 2;
      break;
    case AccessSubject::Client:
    case AccessSubject::Helo:
      if (status.detail >= 1 && status.detail <= 8) status.subject = status.detail = 0;
      break;
  }
  return status;
}

}  // namespace mansio::route
