#include "kernel/mail/dsn_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "kernel/mail/utf8.hpp"

namespace mansio::dsn {
namespace {

constexpr std::array<std::string_view, 9> kVariables = {"mail_name",   "myhostname",  "mydomain",
                                                        "queue_id",    "sender",      "arrival_date",
                                                        "expiry_date", "delay_hours", "reasons"};

bool name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// What stands between two variables is text; `dollar` is a literal '$'.
struct Piece {
  std::string_view text, variable;
  bool dollar = false;
  bool malformed = false;  // '$' without a name, or "${" without "}"
};

// Takes the text before the next variable, and that variable, off `rest`.
Piece next_piece(std::string_view &rest) {
  Piece piece;
  const auto at = std::min(rest.find('$'), rest.size());
  piece.text = rest.substr(0, at);
  rest.remove_prefix(at);
  if (rest.empty()) return piece;
  rest.remove_prefix(1);
  if (rest.starts_with('$')) {
    piece.dollar = true;
    rest.remove_prefix(1);
    return piece;
  }
  const bool braces = rest.starts_with('{');
  if (braces) rest.remove_prefix(1);
  std::size_t n = 0;
  while (n < rest.size() && name_char(rest[n])) ++n;
  piece.variable = rest.substr(0, n);
  rest.remove_prefix(n);
  piece.malformed = n == 0;
  if (braces) {
    if (rest.starts_with('}')) {
      rest.remove_prefix(1);
    } else {
      piece.malformed = true;
    }
  }
  return piece;
}

std::string_view trim(std::string_view s) {
  const auto first = s.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
}

// Reads the file line by line; the first error wins and carries its line.
class Loader {
 public:
  Loader(std::string_view text, std::string_view file) : rest_(text), file_(file) {}

  Result<Templates> load() {
    auto templates = default_templates();
    Template ignored;
    while (const auto got = next_line()) {
      const auto line = trim(*got);
      if (line.empty() || line.front() == '#') continue;
      const auto equals = line.find('=');
      const auto name = trim(line.substr(0, equals));
      Template *to = name == "failure_template"   ? &templates.failure
                     : name == "delay_template"   ? &templates.delay
                     : name == "success_template" ? &templates.success
                     : name == "verify_template"  ? &ignored
                                                  : nullptr;
      if (!to) return error("expected failure_template, delay_template or success_template, found \"{}\"", name);
      const auto value = equals == std::string_view::npos ? std::string_view{} : trim(line.substr(equals + 1));
      if (!value.starts_with("<<") || trim(value.substr(2)).empty()) return error("expected \"{} = <<EOF\"", name);
      if (auto section = read_section(name, trim(value.substr(2)), *to); !section) return section.error();
    }
    return templates;
  }

 private:
  template <class... A>
  Error error(fmt::format_string<A...> format, A &&...args) const {
    return error_at(line_, format, std::forward<A>(args)...);
  }
  template <class... A>
  Error error_at(std::size_t line, fmt::format_string<A...> format, A &&...args) const {
    return {Status::BadConfig, fmt::format("{}:{}: {}", file_, line, fmt::format(format, std::forward<A>(args)...))};
  }

  std::optional<std::string_view> next_line() {
    if (rest_.empty()) return std::nullopt;
    ++line_;
    const auto newline = rest_.find('\n');
    auto line = rest_.substr(0, newline);
    rest_.remove_prefix(newline == std::string_view::npos ? rest_.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }

  Result<void> read_section(std::string_view name, std::string_view end, Template &to) {
    const auto opened = line_;
    Template section;
    bool in_header = true, seen_subject = false;
    for (;;) {
      const auto line = next_line();
      if (!line) return error_at(opened, "{} does not end: no line \"{}\" follows", name, end);
      if (trim(*line) == end) break;
      if (auto ok = check_variables(*line, in_header); !ok) return ok;
      if (!in_header) {
        section.body.append(*line).push_back('\n');
      } else if (trim(*line).empty()) {
        in_header = false;
      } else if (auto ok = read_header(*line, section, seen_subject); !ok) {
        return ok;
      }
    }
    if (!seen_subject) return error_at(opened, "{} has no Subject line", name);
    if (trim(section.body).empty() || section.body.find_first_not_of(" \t\n") == std::string::npos) {
      return error_at(opened, "{} has no text after its header lines and an empty line", name);
    }
    if (section.charset == "us-ascii" && !is_ascii(section.body)) {
      return error_at(opened, "{} has text that is not ASCII: it needs \"Charset: utf-8\"", name);
    }
    if (!valid_utf8(section.body)) return error_at(opened, "{} is not valid UTF-8", name);
    to = std::move(section);
    return {};
  }

  Result<void> read_header(std::string_view line, Template &section, bool &seen_subject) {
    const auto colon = line.find(':');
    const auto name = trim(line.substr(0, colon));
    const auto value = colon == std::string_view::npos ? std::string_view{} : trim(line.substr(colon + 1));
    if (value.empty()) return error("expected \"Name: value\" (an empty line ends the header lines)");
    if (!is_ascii(value) || value != printable(value, false)) {
      return error("{} must be printable ASCII; other text goes into RFC 2047 encoded words", name);
    }
    if (equals_nocase(name, "Charset")) {
      section.charset = lower(value);
      if (section.charset != "us-ascii" && section.charset != "utf-8")
        return error("Charset is us-ascii or utf-8, not \"{}\"", value);
    } else if (equals_nocase(name, "From")) {
      section.from = value;
    } else if (equals_nocase(name, "Subject")) {
      section.subject = value;
      seen_subject = true;
    } else if (equals_nocase(name, "Postmaster-Subject")) {
      section.postmaster_subject = value;
    } else {
      return error("expected Charset, From, Subject or Postmaster-Subject, found \"{}\"", name);
    }
    return {};
  }

  Result<void> check_variables(std::string_view line, bool in_header) const {
    while (!line.empty()) {
      const auto piece = next_piece(line);
      if (piece.malformed) return error("'$' begins no variable here (a dollar sign is \"$$\")");
      if (piece.variable.empty()) continue;
      if (std::ranges::find(kVariables, piece.variable) == kVariables.end()) {
        return error("unknown variable ${}; known: ${}", piece.variable, fmt::join(kVariables, " $"));
      }
      if (in_header && piece.variable == "reasons") return error("$reasons belongs into the text");
    }
    return {};
  }

  std::string_view rest_, file_;
  std::size_t line_ = 0;
};

}  // namespace

Templates default_templates() {
  Templates t;
  t.failure.subject = "Your message could not be delivered";
  t.failure.postmaster_subject = "Postmaster copy: a message could not be delivered";
  t.failure.body =
      "This is $mail_name at $myhostname.\n"
      "\n"
      "The message you sent on $arrival_date\n"
      "could not be delivered to the recipients below, and no further attempt\n"
      "will be made. The reason is given for each. What you sent, or the\n"
      "beginning of it, is attached.\n"
      "\n"
      "If the reason does not tell you what to do, ask postmaster at\n"
      "$myhostname and include this report.\n";
  t.failure.postmaster_body =
      "This is $mail_name at $myhostname.\n"
      "\n"
      "This is for your information as the postmaster. A message from\n"
      "<$sender>,\n"
      "which came on $arrival_date,\n"
      "could not be delivered to the recipients below, and no further attempt\n"
      "will be made. The reason is given for each. The header of the message\n"
      "is attached.\n";
  t.delay.subject = "Your message is delayed";
  t.delay.postmaster_subject = "Postmaster copy: a message is delayed";
  t.delay.body =
      "This is $mail_name at $myhostname.\n"
      "\n"
      "THIS IS ONLY A WARNING; THERE IS NO NEED TO SEND YOUR MESSAGE AGAIN.\n"
      "\n"
      "The message you sent on $arrival_date\n"
      "has not reached the recipients below for $delay_hours hours.\n"
      "Attempts go on until $expiry_date.\n";
  t.delay.postmaster_body =
      "This is $mail_name at $myhostname.\n"
      "\n"
      "This is for your information as the postmaster. A message from\n"
      "<$sender>,\n"
      "which came on $arrival_date,\n"
      "has not reached the recipients below for $delay_hours hours.\n"
      "Attempts go on until $expiry_date.\n";
  t.success.subject = "Your message was delivered";
  t.success.body =
      "This is $mail_name at $myhostname.\n"
      "\n"
      "You asked to be told what became of the message you sent on\n"
      "$arrival_date. It went to the recipients below.\n"
      "Where it was handed to a system that sends no such reports, this\n"
      "is the last you will hear.\n";
  return t;
}

Result<Templates> parse_templates(std::string_view text, std::string_view file_name) {
  return Loader{text, file_name}.load();
}

std::string expand(std::string_view text, const std::function<std::string(std::string_view)> &value) {
  std::string out;
  while (!text.empty()) {
    const auto piece = next_piece(text);
    out.append(piece.text);
    if (piece.dollar || piece.malformed) out.push_back('$');
    if (!piece.variable.empty()) out.append(value(piece.variable));
  }
  return out;
}

bool mentions(std::string_view text, std::string_view variable) {
  while (!text.empty()) {
    if (next_piece(text).variable == variable) return true;
  }
  return false;
}

}  // namespace mansio::dsn
