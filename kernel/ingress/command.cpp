#include "kernel/ingress/command.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr bool is_space(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

std::string_view trim(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

std::string_view take_word(std::string_view &s) {
  const auto n = static_cast<std::size_t>(std::find_if(s.begin(), s.end(), is_space) - s.begin());
  const auto word = s.substr(0, n);
  s = trim(s.substr(n));
  return word;
}

constexpr std::pair<std::string_view, Verb> kVerbs[] = {
    {"HELO", Verb::Helo},          {"EHLO", Verb::Ehlo},          {"MAIL", Verb::Mail},
    {"RCPT", Verb::Rcpt},          {"DATA", Verb::Data},          {"BDAT", Verb::Bdat},
    {"RSET", Verb::Rset},          {"NOOP", Verb::Noop},          {"VRFY", Verb::Vrfy},
    {"HELP", Verb::Help},          {"QUIT", Verb::Quit},          {"STARTTLS", Verb::StartTls},
    {"EXPN", Verb::Unimplemented}, {"AUTH", Verb::Auth},          {"ETRN", Verb::Etrn},
    {"TURN", Verb::Unimplemented}, {"ATRN", Verb::Unimplemented}, {"SEND", Verb::Unimplemented},
    {"SOML", Verb::Unimplemented}, {"SAML", Verb::Unimplemented}, {"GET", Verb::NotSmtp},
    {"POST", Verb::NotSmtp},       {"CONNECT", Verb::NotSmtp},    {"XFORWARD", Verb::XForward},
};

Verb verb_of(std::string_view word) {
  for (const auto &[text, verb] : kVerbs)
    if (equals_nocase(word, text)) return verb;
  return !word.empty() && !is_alnum(word.front()) ? Verb::NotSmtp : Verb::Unknown;
}

// The end of "<...>" in `s`, which begins with '<': quoted strings may hold '>'. npos if there is none.
std::size_t closing_bracket(std::string_view s) {
  bool quoted = false;
  for (std::size_t i = 1; i < s.size(); ++i) {
    if (s[i] == '\\' && quoted)
      ++i;
    else if (s[i] == '"')
      quoted = !quoted;
    else if (s[i] == '>' && !quoted)
      return i;
  }
  return std::string_view::npos;
}

Syntax parse_parameters(std::string_view rest, Command &command) {
  while (!rest.empty()) {
    const auto word = take_word(rest);
    if (command.parameter_count == command.parameters.size()) return Syntax::TooManyParameters;
    auto &p = command.parameters[command.parameter_count++];
    const auto equals = word.find('=');
    p.keyword = word.substr(0, equals);
    p.has_value = equals != std::string_view::npos;
    if (p.has_value) p.value = word.substr(equals + 1);
    // esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-"), esmtp-value = 1*(%d33-60 / %d62-126)
    if (p.keyword.empty() || p.keyword.front() == '-' || (p.has_value && p.value.empty())) return Syntax::BadParameter;
    for (const char c : p.keyword)
      if (!is_alnum(c) && c != '-') return Syntax::BadParameter;
    for (const char c : p.value)
      if (static_cast<unsigned char>(c) <= 32 || c == 127) return Syntax::BadParameter;
  }
  return Syntax::Ok;
}

// "FROM:<path> parameters". Blanks round the colon and a path without brackets are tolerated, as everywhere.
Syntax parse_path(std::string_view keyword, Command &command) {
  auto s = command.argument;
  if (s.size() < keyword.size() || !equals_nocase(s.substr(0, keyword.size()), keyword)) return Syntax::BadPath;
  s = trim(s.substr(keyword.size()));
  if (s.empty() || s.front() != ':') return Syntax::BadPath;
  s = trim(s.substr(1));
  if (s.empty()) return Syntax::BadPath;
  if (s.front() != '<') {
    command.path = take_word(s);
    return parse_parameters(s, command);
  }
  const auto close = closing_bracket(s);
  if (close == std::string_view::npos) return Syntax::BadPath;
  command.path = s.substr(0, close + 1);
  s.remove_prefix(close + 1);
  if (!s.empty() && !is_space(s.front())) return Syntax::BadPath;
  return parse_parameters(trim(s), command);
}

// "PLAIN AGFsaWNlAHNlY3JldA=="
Syntax parse_auth(Command &command) {
  auto rest = command.argument;
  command.mechanism = take_word(rest);
  if (command.mechanism.empty()) return Syntax::MissingArgument;
  command.initial_response = take_word(rest);
  return rest.empty() ? Syntax::Ok : Syntax::ExtraArgument;
}

Syntax parse_chunk(Command &command) {
  auto rest = command.argument;
  const auto size = take_word(rest);
  if (size.empty()) return Syntax::MissingArgument;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), command.chunk_size);
  if (error != std::errc{} || end != size.data() + size.size()) return Syntax::BadNumber;
  if (rest.empty()) return Syntax::Ok;
  command.last = equals_nocase(rest, "LAST");
  return command.last ? Syntax::Ok : Syntax::ExtraArgument;
}

}  // namespace

std::string_view name(Verb verb) {
  if (verb == Verb::Unimplemented || verb == Verb::NotSmtp) return "?";
  for (const auto &[text, v] : kVerbs)
    if (v == verb) return text;
  return "?";
}

Command parse_command(std::string_view line) {
  Command command;
  command.argument = line;
  while (!command.argument.empty() && is_space(command.argument.back())) command.argument.remove_suffix(1);
  command.verb = verb_of(take_word(command.argument));
  const bool bare = command.argument.empty();
  switch (command.verb) {
    case Verb::Helo:
    case Verb::Ehlo:
    case Verb::Vrfy:
    case Verb::XForward:
      command.syntax = bare ? Syntax::MissingArgument : Syntax::Ok;
      break;
    case Verb::Data:
    case Verb::Rset:
    case Verb::Quit:
    case Verb::StartTls:
      command.syntax = bare ? Syntax::Ok : Syntax::ExtraArgument;
      break;
    case Verb::Mail:
      command.syntax = parse_path("FROM", command);
      break;
    case Verb::Rcpt:
      command.syntax = parse_path("TO", command);
      break;
    case Verb::Etrn:
      command.syntax = bare                                                              ? Syntax::MissingArgument
                       : command.argument.find_first_of(" \t") != std::string_view::npos ? Syntax::ExtraArgument
                                                                                         : Syntax::Ok;
      break;
    case Verb::Bdat:
      command.syntax = parse_chunk(command);
      break;
    case Verb::Auth:
      command.syntax = parse_auth(command);
      break;
    default:
      break;
  }
  return command;
}

}  // namespace mansio::ingress
