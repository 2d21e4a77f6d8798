#include "kernel/ingress/params.hpp"

#include <charconv>

#include "kernel/ingress/priority.hpp"
#include "kernel/mail/address.hpp"
#include "kernel/mail/dsn_params.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

Reply bad_value(const Parameter &p) {
  return {501, {5, 5, 4}, "Error: bad value of parameter " + std::string{p.keyword}};
}
Reply unsupported(const Parameter &p) { return {555, {5, 5, 4}, "Unsupported option: " + std::string{p.keyword}}; }

// One bit a parameter, so that a second of its kind is noticed.
bool first_of(unsigned &seen, unsigned bit) { return (seen & bit) != 0 ? false : (seen |= bit, true); }

// Stores a parsed value, or turns its error into a reply.
template <class T>
std::optional<Reply> take(Result<T> parsed, const Parameter &p, T &to) {
  if (!parsed) return bad_value(p);
  to = std::move(*parsed);
  return std::nullopt;
}

std::optional<Reply> read_size(const Parameter &p, std::uint64_t &size) {
  const char *const end = p.value.data() + p.value.size();
  const auto [stop, error] = std::from_chars(p.value.data(), end, size);
  if (p.value.size() > 20 || stop != end || error == std::errc::invalid_argument) return bad_value(p);
  if (error == std::errc::result_out_of_range) size = UINT64_MAX;
  return std::nullopt;
}

std::optional<Reply> read_body(const Parameter &p, BodyType &body) {
  if (equals_nocase(p.value, "7BIT"))
    body = BodyType::SevenBit;
  else if (equals_nocase(p.value, "8BITMIME"))
    body = BodyType::EightBitMime;
  else
    return bad_value(p);  // BINARYMIME is not offered
  return std::nullopt;
}

std::optional<Reply> read_priority(const Parameter &p, std::optional<int> &priority) {
  priority = parse_priority(p.value);
  return priority ? std::nullopt : std::optional{bad_value(p)};
}

// Who has authenticated where the message was first given to a server (RFC 4954 section 5).
std::optional<Reply> read_auth(const Parameter &p, std::string &auth) {
  if (p.value == "<>") return std::nullopt;
  auto mailbox = xtext_decode(p.value);
  if (!mailbox || !parse_mailbox(*mailbox)) return bad_value(p);
  auth = std::move(*mailbox);
  return std::nullopt;
}

}  // namespace

std::optional<Reply> read_parameters(const Command &command, const Offers &offers, MailParameters &out) {
  unsigned seen = 0;
  for (std::size_t i = 0; i < command.parameter_count; ++i) {
    const auto &p = command.parameters[i];
    std::optional<Reply> refusal;
    if (equals_nocase(p.keyword, "SIZE") && offers("SIZE")) {
      refusal = first_of(seen, 1) ? read_size(p, out.size) : bad_value(p);
    } else if (equals_nocase(p.keyword, "BODY") && offers("8BITMIME")) {
      refusal = first_of(seen, 2) ? read_body(p, out.body) : bad_value(p);
    } else if (equals_nocase(p.keyword, "SMTPUTF8") && offers("SMTPUTF8")) {
      if (p.has_value || !first_of(seen, 4)) refusal = bad_value(p);
      out.smtputf8 = true;
    } else if (equals_nocase(p.keyword, "RET") && offers("DSN")) {
      refusal = first_of(seen, 8) ? take(parse_ret(p.value), p, out.ret) : bad_value(p);
    } else if (equals_nocase(p.keyword, "ENVID") && offers("DSN")) {
      refusal = first_of(seen, 16) ? take(parse_envid(p.value), p, out.envid) : bad_value(p);
    } else if (equals_nocase(p.keyword, "MT-PRIORITY") && offers("MT-PRIORITY")) {
      refusal = first_of(seen, 32) ? read_priority(p, out.priority) : bad_value(p);
    } else if (equals_nocase(p.keyword, "AUTH") && offers("AUTH")) {
      refusal = first_of(seen, 64) ? read_auth(p, out.auth) : bad_value(p);
    } else {
      refusal = unsupported(p);
    }
    if (refusal) return refusal;
  }
  return std::nullopt;
}

std::optional<Reply> read_parameters(const Command &command, const Offers &offers, bool smtputf8, RcptParameters &out) {
  unsigned seen = 0;
  for (std::size_t i = 0; i < command.parameter_count; ++i) {
    const auto &p = command.parameters[i];
    std::optional<Reply> refusal;
    if (equals_nocase(p.keyword, "NOTIFY") && offers("DSN")) {
      refusal = first_of(seen, 1) ? take(parse_notify(p.value), p, out.notify) : bad_value(p);
    } else if (equals_nocase(p.keyword, "ORCPT") && offers("DSN")) {
      refusal = first_of(seen, 2) ? take(parse_orcpt(p.value, smtputf8), p, out.orcpt) : bad_value(p);
    } else {
      refusal = unsupported(p);
    }
    if (refusal) return refusal;
  }
  return std::nullopt;
}

}  // namespace mansio::ingress
