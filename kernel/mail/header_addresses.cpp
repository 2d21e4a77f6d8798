#include "kernel/mail/header_addresses.hpp"

#include <algorithm>

#include "kernel/mail/address.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

bool white(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// The place behind what begins at `at`: a quoted string, a comment (which may hold comments) or a domain literal.
std::size_t behind(std::string_view s, std::size_t at) {
  const char open = s[at], close = open == '(' ? ')' : open == '[' ? ']' : '"';
  std::size_t depth = 0;
  for (; at < s.size(); ++at) {
    if (s[at] == '\\') {
      ++at;
    } else if (s[at] == close && (open != '"' || depth > 0)) {
      if (--depth == 0) return at + 1;
    } else if (s[at] == open && (open == '(' || depth == 0)) {
      ++depth;
    }
  }
  return s.size();
}

// One element of the list as it is read: the words outside comments, and what stood between angle brackets.
class Element {
 public:
  void word(std::size_t from, std::size_t to) {
    if (words_ == 0 || from != to_) ++words_;
    if (words_ == 1 && to_ == 0) from_ = from;
    to_ = to;
  }
  void bracketed(std::size_t from, std::size_t to) { from_ = from, to_ = to, words_ = 1, closed_ = true; }
  bool closed() const { return closed_; }
  void end(std::string_view body, std::vector<AddressSpan> &out) {
    if (words_ == 1 && to_ > from_) {
      const auto text = body.substr(from_, to_ - from_);
      if (split_address(text).has_domain && parse_mailbox(text, {.smtputf8 = true, .strict = false}))
        out.push_back({from_, to_ - from_});
    }
    *this = {};
  }

 private:
  std::size_t from_ = 0, to_ = 0, words_ = 0;
  bool closed_ = false;
};

// What is between angle brackets, without a source route and white space around it.
AddressSpan inside(std::string_view body, std::size_t from, std::size_t to) {
  if (from < to && body[from] == '@')
    if (const auto colon = body.substr(from, to - from).find(':'); colon != body.npos) from += colon + 1;
  while (from < to && white(body[from])) ++from;
  while (from < to && white(body[to - 1])) --to;
  return {from, to - from};
}

std::size_t end_of_brackets(std::string_view body, std::size_t at) {
  while (at < body.size() && body[at] != '>') at = body[at] == '"' ? behind(body, at) : at + 1;
  return std::min(at, body.size());
}

}  // namespace

std::vector<AddressSpan> find_addresses(std::string_view body) {
  std::vector<AddressSpan> out;
  Element element;
  for (std::size_t at = 0; at < body.size();) {
    const char c = body[at];
    if (white(c)) {
      ++at;
    } else if (c == '(') {
      at = behind(body, at);
    } else if (c == '"' || c == '[') {
      const auto end = behind(body, at);
      if (!element.closed()) element.word(at, end);
      at = end;
    } else if (c == '<') {
      const auto end = end_of_brackets(body, at + 1);
      const auto span = inside(body, at + 1, end);
      element.bracketed(span.at, span.at + span.length);
      at = std::min(end + 1, body.size());
    } else if (c == ',' || c == ';') {
      element.end(body, out);
      ++at;
    } else if (c == ':') {  // of a group: what came before is its name
      element = {};
      ++at;
    } else {
      if (!element.closed()) element.word(at, at + 1);
      ++at;
    }
  }
  element.end(body, out);
  return out;
}

std::optional<FieldClass> address_field(std::string_view name) {
  constexpr std::string_view kSenders[] = {
      "From",          "Sender",          "Reply-To",          "Errors-To",   "Resent-From",
      "Resent-Sender", "Resent-Reply-To", "Return-Receipt-To", "Return-Path", "Disposition-Notification-To"};
  constexpr std::string_view kRecipients[] = {"To",        "Cc",        "Bcc",        "Apparently-To",
                                              "Resent-To", "Resent-Cc", "Resent-Bcc", "Mail-Followup-To"};
  const auto has = [&](const auto &names) {
    return std::ranges::any_of(names, [&](std::string_view each) { return equals_nocase(each, name); });
  };
  if (has(kSenders)) return FieldClass::Sender;
  if (has(kRecipients)) return FieldClass::Recipient;
  return std::nullopt;
}

}  // namespace mansio
