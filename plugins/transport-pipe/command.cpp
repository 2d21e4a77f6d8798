#include "plugins/transport-pipe/command.hpp"

#include <algorithm>
#include <utility>

#include "mansio/config.hpp"

namespace mansio::pipe {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kNames[] = {
    "client_address", "client_helo", "client_hostname", "client_port",        "client_protocol", "nexthop",
    "queue_id",       "sasl_method", "sasl_sender",     "sasl_username",      "sender",          "size",
    "domain",         "extension",   "mailbox",         "original_recipient", "recipient",       "user"};
static_assert(std::size(kNames) == static_cast<std::size_t>(Macro::Count));

plugin::BadConfig bad_argv(const std::string &what, const std::string &expected) {
  return {"argv", what + ", expected " + expected};
}

Macro macro_of(std::string_view name) {
  const auto *const found = std::find(std::begin(kNames), std::end(kNames), name);
  if (found != std::end(kNames)) return static_cast<Macro>(found - std::begin(kNames));
  std::string all;
  for (const auto known : kNames) all += (all.empty() ? "" : ", ") + std::string{known};
  throw bad_argv("has the macro ${" + std::string{name} + "}", "one of " + all + " (and $$ for a dollar sign)");
}

bool name_character(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// The name after a '$', taken from the front of `rest`.
std::string_view take_name(std::string_view &rest) {
  const char close = rest.starts_with('{') ? '}' : rest.starts_with('(') ? ')' : '\0';
  std::size_t end = 0;
  if (close != '\0') {
    rest.remove_prefix(1);
    end = rest.find(close);
    if (end == rest.npos)
      throw bad_argv(std::string{"has a macro without its '"} + close + "'", "such as ${recipient}");
  } else {
    while (end < rest.size() && name_character(rest[end])) ++end;
    if (end == 0) throw bad_argv("has a '$' before no name", "a macro such as ${recipient}, or $$");
  }
  const auto name = rest.substr(0, end);
  rest.remove_prefix(end + (close != '\0' ? 1 : 0));
  return name;
}

// The next word from the front of `rest`, which is not blank there.
std::string_view take_word(std::string_view &rest) {
  std::string_view word;
  if (rest.starts_with('{')) {
    int depth = 0;
    std::size_t i = 0;
    do {
      if (i == rest.size()) throw bad_argv("has a '{' without its '}'", "{ words } for an argument with blanks");
      depth += rest[i] == '{' ? 1 : rest[i] == '}' ? -1 : 0;
      ++i;
    } while (depth > 0);
    word = rest.substr(1, i - 2);
    rest.remove_prefix(i);
    if (!rest.empty() && kBlanks.find(rest.front()) == kBlanks.npos)
      throw bad_argv("goes on right after a '}'", "a blank there");
    const auto first = std::min(word.find_first_not_of(kBlanks), word.size());
    word.remove_prefix(first);
    while (!word.empty() && kBlanks.find(word.back()) != kBlanks.npos) word.remove_suffix(1);
  } else {
    word = rest.substr(0, rest.find_first_of(kBlanks));
    rest.remove_prefix(word.size());
  }
  return word;
}

}  // namespace

Command::Command(std::string_view argv) {
  bool first = true;
  for (auto rest = argv;; first = false) {
    rest.remove_prefix(std::min(rest.find_first_not_of(kBlanks), rest.size()));
    if (rest.empty()) break;
    const auto word = take_word(rest);
    if (first && (!word.starts_with('/') || word.find('$') != word.npos))
      throw bad_argv("begins with \"" + std::string{word} + "\"", "the absolute path of a program");
    if (first)
      program_ = word;
    else
      arguments_.push_back(parse(word));
  }
  if (first) throw bad_argv("is empty", "a program and its arguments, such as \"/usr/bin/maildrop -d ${recipient}\"");
}

Command::Argument Command::parse(std::string_view word) {
  Argument argument;
  std::string text;
  while (!word.empty()) {
    const auto dollar = std::min(word.find('$'), word.size());
    text += word.substr(0, dollar);
    word.remove_prefix(dollar);
    if (word.empty()) break;
    word.remove_prefix(1);
    if (word.starts_with('$')) {
      text += '$';
      word.remove_prefix(1);
      continue;
    }
    const auto macro = macro_of(take_name(word));
    argument.per_recipient = argument.per_recipient || macro >= Macro::Domain;
    if (!text.empty()) argument.parts.push_back({std::exchange(text, {}), std::nullopt});
    argument.parts.push_back({"", macro});
  }
  if (!text.empty()) argument.parts.push_back({text, std::nullopt});
  return argument;
}

std::string Command::fill(const Argument &argument, const Values &values) {
  std::string out;
  for (const auto &part : argument.parts) out += part.macro ? values[static_cast<std::size_t>(*part.macro)] : part.text;
  return out;
}

std::string Command::refuses(const Values &values, bool per_recipient) const {
  for (const auto &argument : arguments_) {
    if (argument.per_recipient != per_recipient || argument.parts.empty()) continue;
    const auto text = fill(argument, values);
    if (text.find('\0') != text.npos) return "has a NUL, which no argument may have";
    if (argument.parts.front().macro && text.starts_with('-')) return "would look like an option of the command";
  }
  return {};
}

std::vector<std::string> Command::expand(const Values &message, std::span<const Values> recipients) const {
  std::vector<std::string> out{program_};
  for (const auto &argument : arguments_) {
    if (!argument.per_recipient)
      out.push_back(fill(argument, message));
    else
      for (const auto &recipient : recipients) out.push_back(fill(argument, recipient));
  }
  return out;
}

}  // namespace mansio::pipe
