#include "plugins/mime-common/parameters.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "plugins/common/ascii.hpp"
#include "plugins/mime-common/words.hpp"

namespace mansio::mime {
namespace {

constexpr unsigned kMostSections = 1000;
constexpr std::size_t kMostParameters = 1000;

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

void trim_end(std::string &text) {
  while (!text.empty() && blank(text.back())) text.pop_back();
}

// Where the comment that begins at `at` has ended.
std::size_t behind_comment(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  for (; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '(') {
      ++depth;
    } else if (text[at] == ')' && --depth == 0) {
      return at + 1;
    }
  }
  return text.size();
}

void skip_blanks(std::string_view text, std::size_t &at) {
  while (at < text.size() && (blank(text[at]) || text[at] == '('))
    at = blank(text[at]) ? at + 1 : behind_comment(text, at);
}

std::string quoted_string(std::string_view text, std::size_t &at) {
  std::string out;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') {
      ++at;
      break;
    }
    if (text[at] == '\\' && at + 1 < text.size()) ++at;
    if (text[at] != '\r' && text[at] != '\n') out += text[at];
  }
  return out;
}

// Up to the next semicolon, blanks included, which many leave without quotes. A comment at its end is none of it.
std::string unquoted(std::string_view text, std::size_t &at) {
  const auto end = std::min(text.find(';', at), text.size());
  auto value = text.substr(at, end - at);
  const auto comment = value.find('(');
  if (comment != value.npos && comment != 0 && blank(value[comment - 1])) {
    auto rest = behind_comment(value, comment);
    skip_blanks(value, rest);
    if (rest == value.size()) value = value.substr(0, comment);
  }
  at = end;
  std::string out{value};
  trim_end(out);
  return out;
}

// What is said of one parameter.
struct Said {
  std::optional<std::string> plain, extended;
  struct Section {
    std::string text;
    bool extended;
  };
  std::map<unsigned, Section> sections;
};

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = ascii::lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex(text[i + 1]) : -1;
    const int low = high < 0 ? -1 : hex(text[i + 2]);
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// Takes "charset'language'" off; "" when it is not there.
std::string take_charset(std::string_view &text) {
  const auto first = text.find('\'');
  const auto second = first == text.npos ? text.npos : text.find('\'', first + 1);
  if (second == text.npos) return {};
  std::string charset{text.substr(0, first)};
  text.remove_prefix(second + 1);
  return charset;
}

// name, name*, name*1 or name*1*.
void hear(std::map<std::string, Said, std::less<>> &all, std::string_view name, std::string value) {
  const auto star = name.find('*');
  if (all.size() >= kMostParameters && !all.contains(name.substr(0, star))) return;
  auto &said = all[std::string{name.substr(0, star)}];
  if (star == name.npos) {
    if (!said.plain) said.plain = std::move(value);
    return;
  }
  auto number = name.substr(star + 1);
  const bool extended = number.empty() || number.ends_with('*');
  if (number.ends_with('*')) number.remove_suffix(1);
  if (number.empty()) {
    if (!said.extended) said.extended = std::move(value);
    return;
  }
  unsigned section = 0;
  for (const char c : number) {
    if (!ascii::digit(c)) return;
    section = section * 10 + static_cast<unsigned>(c - '0');
    if (section >= kMostSections) return;
  }
  said.sections.emplace(section, Said::Section{std::move(value), extended});
}

std::string understood(const Said &said) {
  if (said.extended) {
    std::string_view text = *said.extended;
    const auto charset = take_charset(text);
    return to_utf8(charset, percent_decoded(text));
  }
  std::string octets, charset;
  unsigned next = 0;
  for (const auto &[number, section] : said.sections) {
    if (number != next++) break;  // those behind a gap are lost
    std::string_view text = section.text;
    if (number == 0 && section.extended) charset = take_charset(text);
    octets += section.extended ? percent_decoded(text) : std::string{text};
  }
  if (next == 0 || said.sections.begin()->first != 0) return said.plain.value_or("");
  return to_utf8(charset, octets);
}

}  // namespace

std::string_view Parameterized::parameter(std::string_view name) const {
  const auto found = parameters.find(name);
  return found == parameters.end() ? std::string_view{} : found->second;
}

Parameterized parse_parameterized(std::string_view field) {
  Parameterized parsed;
  std::size_t at = 0;
  for (skip_blanks(field, at); at < field.size() && field[at] != ';'; skip_blanks(field, at))
    parsed.value += ascii::lower(field[at++]);
  std::map<std::string, Said, std::less<>> all;
  while (at < field.size()) {
    ++at;  // the semicolon
    skip_blanks(field, at);
    const auto begin = at;
    at = std::min(field.find_first_of("=;", at), field.size());
    auto name = ascii::lower(field.substr(begin, at - begin));
    if (at == field.size() || field[at] == ';') continue;
    ++at;
    trim_end(name);
    skip_blanks(field, at);
    auto value = at < field.size() && field[at] == '"' ? quoted_string(field, at) : unquoted(field, at);
    at = std::min(field.find(';', at), field.size());
    if (!name.empty()) hear(all, name, std::move(value));
  }
  for (const auto &[name, said] : all)
    if (said.plain || said.extended || said.sections.contains(0)) parsed.parameters.emplace(name, understood(said));
  return parsed;
}

Parameterized content_type(std::optional<std::string_view> field, bool in_digest) {
  Parameterized type;
  if (field) type = parse_parameterized(*field);
  const auto slash = type.value.find('/');
  const bool named = slash != 0 && slash != type.value.npos && slash + 1 != type.value.size();
  if (!named) type.value = in_digest && !field ? "message/rfc822" : "text/plain";
  return type;
}

std::string file_name(const Parameterized &disposition, const Parameterized &type) {
  auto name = disposition.parameter("filename");
  if (name.empty()) name = type.parameter("name");
  auto decoded = decode_words(name);
  std::erase_if(decoded, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  const auto begin = std::min(decoded.find_first_not_of(' '), decoded.size());
  decoded.erase(0, begin);
  trim_end(decoded);
  return decoded;
}

}  // namespace mansio::mime
