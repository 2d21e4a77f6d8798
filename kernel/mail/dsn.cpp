#include "kernel/mail/dsn.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernel/mail/address.hpp"
#include "kernel/mail/headers.hpp"
#include "kernel/mail/trace.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio::dsn {
namespace {

constexpr std::size_t kWrap = 76, kLongestText = 900;  // columns; a field must stay below 998 octets

std::string_view word(Action action) {
  switch (action) {
    case Action::Failed:
      return "failed";
    case Action::Delayed:
      return "delayed";
    case Action::Delivered:
      return "delivered";
    case Action::Relayed:
      return "relayed";
    case Action::Expanded:
      return "expanded";
  }
  return "failed";
}

// RFC 3464 wants a status whose class agrees with the action.
EnhancedStatus status_of(const Recipient &r) {
  const std::uint8_t cls = r.action == Action::Failed ? 5 : r.action == Action::Delayed ? 4 : 2;
  if (r.status.empty()) return {cls, 0, 0};
  // A failure may be a 4.x.x that lasted too long; its subject and detail stay true, and so does its class.
  if (r.action == Action::Failed && r.status.cls == 4) return r.status;
  return {cls, r.status.subject, r.status.detail};
}

// Cuts at a character, not inside one.
std::string cut(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0) == 0x80) --most;
  text.resize(most);
  return text;
}

// Breaks `text` at spaces so that lines keep to kWrap columns; every line but the first begins with `indent`.
std::string wrap(std::string_view text, std::string_view indent, std::string_view newline) {
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto space = std::min(text.find(' '), text.size());
    const auto piece = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (!piece.empty() && column > indent.size() && column + 1 + piece.size() > kWrap) {
      out.append(newline).append(indent);
      column = indent.size();
    } else if (column > 0) {
      out.push_back(' ');
      ++column;
    }
    out.append(piece);
    column += piece.size();
  }
  return out;
}

class Composer {
 public:
  Composer(const Input &input, const Templates &templates)
      : in_(input),
        template_(input.kind == Kind::Delay || input.kind == Kind::PostmasterDelay ? templates.delay
                  : input.kind == Kind::Success                                    ? templates.success
                                                                                   : templates.failure) {}

  Notification compose() {
    const auto text = text_part();
    const auto status = status_part();
    const auto original = original_part();
    const bool eight_bit = !is_ascii(text) || !is_ascii(status) || !is_ascii(original);
    const auto boundary = pick_boundary({text, status, original});

    Notification n;
    n.text = header(boundary, eight_bit);
    for (const auto *part : {&text, &status, &original}) {
      n.text.append("--").append(boundary).append("\r\n").append(*part);
      n.text.append(part->ends_with("\r\n") ? "\r\n" : "\r\n\r\n");
    }
    n.text.append("--").append(boundary).append("--\r\n");

    ContentScanner scanner;
    scanner.feed(n.text);
    scanner.finish();
    n.body = scanner.info();
    n.body.hops = 0;
    if (n.body.eight_bit) n.body_type = BodyType::EightBitMime;
    n.smtputf8 = n.body.eight_bit_header || !is_ascii(in_.to) || (in_.smtputf8 && eight_bit);
    return n;
  }

 private:
  bool copy() const { return in_.kind == Kind::PostmasterCopy || in_.kind == Kind::PostmasterDelay; }
  std::string clean(std::string_view text) const { return cut(printable(text, in_.smtputf8), kLongestText); }

  // Folded so that unfolding gives the value back: the space at a break is the one that begins the next line.
  static void field(std::string &out, std::string_view name, std::string_view value) {
    out.append(wrap(fmt::format("{}: {}", name, value), " ", "\r\n")).append("\r\n");
  }

  std::string variable(std::string_view name) const {
    if (name == "mail_name") return "Mansio";
    if (name == "myhostname") return in_.reporting_mta;
    if (name == "mydomain") {
      const auto dot = in_.reporting_mta.find('.');
      const auto domain = dot == std::string::npos ? in_.reporting_mta : in_.reporting_mta.substr(dot + 1);
      return domain.find('.') == std::string::npos ? in_.reporting_mta : domain;
    }
    if (name == "queue_id") return to_string(in_.parent.id);
    if (name == "sender") return clean(in_.sender);
    if (name == "arrival_date") return rfc5322_date(in_.arrival);
    if (name == "expiry_date") return expiry();
    if (name == "delay_hours") return fmt::format("{}", std::max<Nanos>(0, in_.now - in_.arrival) / (3600 * kSecond));
    if (name == "reasons") return reasons();
    return {};
  }

  std::string expiry() const {
    Nanos until = 0;
    for (const auto &r : in_.recipients) until = std::max(until, r.will_retry_until);
    return until > 0 ? rfc5322_date(until) : "the message expires";
  }

  // "<user@example.com>: host mx.example.com said: 550 5.1.1 No such user", one paragraph a recipient.
  std::string reasons() const {
    std::string out;
    for (const auto &r : in_.recipients) {
      auto line = fmt::format("<{}>", clean(r.address));
      if (!r.original.empty() && r.original != r.address) line += fmt::format(" (for <{}>)", clean(r.original));
      line += ": ";
      if (r.action == Action::Delivered || r.action == Action::Relayed || r.action == Action::Expanded) {
        line += fmt::format("{}; ", word(r.action));
      }
      if (r.smtp_code != 0 && !r.remote_mta.empty()) line += fmt::format("host {} said: ", clean(r.remote_mta));
      line += diagnostic(r);
      if (!out.empty()) out.append("\n");
      out.append(wrap(line, "    ", "\n")).append("\n");
    }
    return out;
  }

  std::string diagnostic(const Recipient &r) const {
    auto text = clean(r.text);
    if (r.smtp_code == 0) return text.empty() ? "no reason given" : text;
    const auto code = fmt::format("{}", r.smtp_code);
    if (text.starts_with(code)) return text;
    const auto enhanced = to_string(r.status);
    if (!enhanced.empty() && !text.starts_with(enhanced)) return fmt::format("{} {} {}", code, enhanced, text);
    return fmt::format("{} {}", code, text);
  }

  std::string text_part() const {
    const auto value = [this](std::string_view name) { return variable(name); };
    const auto &body = copy() && !template_.postmaster_body.empty() ? template_.postmaster_body : template_.body;
    auto text = expand(body, value);
    if (!mentions(body, "reasons")) text.append(text.ends_with('\n') ? "\n" : "\n\n").append(reasons());
    const bool ascii = is_ascii(text);
    std::string out = "Content-Description: Notification\r\n";
    fmt::format_to(std::back_inserter(out), "Content-Type: text/plain; charset={}\r\n",
                   ascii ? template_.charset : "utf-8");
    fmt::format_to(std::back_inserter(out), "Content-Transfer-Encoding: {}\r\n\r\n", ascii ? "7bit" : "8bit");
    for (const char c : text) {
      if (c == '\n') out.push_back('\r');
      if (c != '\r') out.push_back(c);
    }
    return out;
  }

  // "rfc822; user@example.com", or "utf-8; ..." where RFC 6533 has it.
  std::string typed_address(std::string_view address) const {
    return fmt::format("{}; {}", is_ascii(address) || !in_.smtputf8 ? "rfc822" : "utf-8", clean(address));
  }

  std::string status_part() const {
    std::string fields;
    field(fields, "Reporting-MTA", "dns; " + in_.reporting_mta);
    if (!in_.envid.empty()) field(fields, "Original-Envelope-Id", clean(in_.envid));
    field(fields, "X-Mansio-Queue-ID", to_string(in_.parent.id));
    if (!in_.sender.empty()) field(fields, "X-Mansio-Sender", typed_address(in_.sender));
    field(fields, "Arrival-Date", rfc5322_date(in_.arrival));
    for (const auto &r : in_.recipients) {
      fields.append("\r\n");
      if (!r.orcpt.empty()) {  // without ORCPT the field must not appear (RFC 3461 section 6.3)
        const auto semicolon = std::min(r.orcpt.find(';'), r.orcpt.size() - 1);
        field(fields, "Original-Recipient",
              fmt::format("{}; {}", clean(r.orcpt.substr(0, semicolon)), clean(r.orcpt.substr(semicolon + 1))));
      }
      field(fields, "Final-Recipient", typed_address(r.address));
      field(fields, "Action", word(r.action));
      field(fields, "Status", to_string(status_of(r)));
      if (!r.remote_mta.empty()) field(fields, "Remote-MTA", "dns; " + clean(r.remote_mta));
      if (r.smtp_code != 0) {
        field(fields, "Diagnostic-Code", "smtp; " + diagnostic(r));
      } else if (!r.text.empty()) {
        field(fields, "Diagnostic-Code", "X-Mansio; " + diagnostic(r));
      }
      if (r.last_attempt > 0) field(fields, "Last-Attempt-Date", rfc5322_date(r.last_attempt));
      if (r.action == Action::Delayed && r.will_retry_until > 0)
        field(fields, "Will-Retry-Until", rfc5322_date(r.will_retry_until));
    }
    std::string out = "Content-Description: Delivery report\r\n";
    out.append(in_.smtputf8 ? "Content-Type: message/global-delivery-status\r\n"
                            : "Content-Type: message/delivery-status\r\n");
    if (!is_ascii(fields)) out.append("Content-Transfer-Encoding: 8bit\r\n");
    return out + "\r\n" + fields;
  }

  std::string original_part() const {
    const bool full = returns_full_message(in_) && in_.original.size() >= in_.original_size;
    auto content = full ? in_.original : header_section(in_.original);
    if (!full && content.size() > kMostHeader) {  // end at a whole line
      const auto newline = content.rfind('\n', kMostHeader);
      content = content.substr(0, newline == std::string_view::npos ? kMostHeader : newline + 1);
    }
    std::string out =
        full ? "Content-Description: Your message\r\n" : "Content-Description: Your message's headers\r\n";
    const auto type = full ? (in_.smtputf8 ? "message/global" : "message/rfc822")
                           : (in_.smtputf8 ? "message/global-headers" : "text/rfc822-headers");
    fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", type);
    if (!is_ascii(content)) out.append("Content-Transfer-Encoding: 8bit\r\n");
    out.append("\r\n").append(content);
    return out;
  }

  // Named after the parent and the event; counted up until no part holds it.
  std::string pick_boundary(std::initializer_list<std::string_view> parts) const {
    const auto base =
        fmt::format("{}.{}/{}", to_string(in_.parent.id), in_.parent.event, in_.reporting_mta.substr(0, 30));
    for (std::size_t n = 0;; ++n) {
      auto boundary = n == 0 ? base : fmt::format("{}.{}", base, n);
      if (std::ranges::none_of(parts,
                               [&](std::string_view p) { return p.find("--" + boundary) != std::string_view::npos; })) {
        return boundary;
      }
    }
  }

  // A From without a domain gets ours: "MAILER-DAEMON (x)" becomes "MAILER-DAEMON@host (x)".
  std::string from() const {
    auto from = expand(template_.from, [this](std::string_view name) { return variable(name); });
    if (from.find('@') == std::string::npos)
      from.insert(std::min(from.find(' '), from.size()), "@" + in_.reporting_mta);
    return from;
  }

  std::string header(std::string_view boundary, bool eight_bit) const {
    const auto &subject =
        copy() && !template_.postmaster_subject.empty() ? template_.postmaster_subject : template_.subject;
    std::string out;
    field(out, "Date", rfc5322_date(in_.now));
    field(out, "From", from());
    field(out, "Subject", expand(subject, [this](std::string_view name) { return variable(name); }));
    field(out, "To", fmt::format("<{}>", printable(in_.to, true)));
    field(out, "Message-ID", fmt::format("<{}.{}@{}>", to_string(in_.parent.id), in_.parent.event, in_.reporting_mta));
    const auto parent_id = find_header(header_section(in_.original), "Message-ID");
    if (parent_id && parent_id->starts_with('<') && parent_id->size() < 250 && is_ascii(*parent_id)) {
      field(out, "References", clean(*parent_id));
    }
    field(out, "Auto-Submitted", copy() ? "auto-generated" : "auto-replied");
    out.append("MIME-Version: 1.0\r\n");
    fmt::format_to(std::back_inserter(out), "Content-Type: multipart/report; report-type={};\r\n\tboundary=\"{}\"\r\n",
                   in_.smtputf8 ? "global-delivery-status" : "delivery-status", boundary);
    if (eight_bit) out.append("Content-Transfer-Encoding: 8bit\r\n");
    out.append("\r\nThis is a MIME-encapsulated message.\r\n\r\n");
    return out;
  }

  const Input &in_;
  const Template &template_;
};

}  // namespace

// RFC 3461 section 6.2: RET governs failures only; without it, what we were sent goes back if it is small.
bool returns_full_message(const Input &input) {
  return input.kind == Kind::Failure && input.ret != Ret::Hdrs && input.original_size <= input.size_limit;
}

std::uint64_t bytes_wanted(const Input &input) {
  return returns_full_message(input) ? input.original_size : std::min(input.original_size, kMostHeader);
}

Notification compose(const Input &input, const Templates &templates) { return Composer{input, templates}.compose(); }

}  // namespace mansio::dsn
