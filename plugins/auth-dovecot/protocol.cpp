#include "plugins/auth-dovecot/protocol.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

namespace mansio::dovecot {
namespace {

constexpr std::size_t kLongestText = 200;

std::string to_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // it ends with NUL
  const int n =
      ::EVP_EncodeBlock(reinterpret_cast<unsigned char *>(out.data()),
                        reinterpret_cast<const unsigned char *>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty()) return std::string{};
  const auto end = std::min(text.find('='), text.size());
  const auto padding = text.size() - end;
  const bool good = text.size() % 4 == 0 && padding <= 2 && text.find_first_not_of('=', end) == text.npos &&
                    text.find_first_not_of(kAlphabet) >= end;
  if (!good) return std::nullopt;
  std::string out(text.size() / 4 * 3, '\0');
  const int n = ::EVP_DecodeBlock(reinterpret_cast<unsigned char *>(out.data()),
                                  reinterpret_cast<const unsigned char *>(text.data()), static_cast<int>(text.size()));
  if (n < 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(n) - padding);
  return out;
}

// Tabs and line ends in values are written as two characters, the first of which is \001.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\001' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case '0':
        out += '\0';
        break;
      case '1':
        out += '\001';
        break;
      case 't':
        out += '\t';
        break;
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      default:
        out += text[i];
    }
  }
  return out;
}

// For a log.
std::string clean(std::string text) {
  text.resize(std::min(text.size(), kLongestText));
  for (auto &c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return text;
}

std::string_view take_field(std::string_view &line) {
  const auto field = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(field.size() + 1, line.size()));
  return field;
}

bool read_number(std::string_view text, std::uint32_t &to) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
  return error == std::errc{} && end == text.data() + text.size();
}

// The fields of OK and FAIL behind the number; false: one of them is nonsense.
bool read_fields(std::string_view rest, Answer &answer) {
  while (!rest.empty()) {
    const auto field = take_field(rest);
    const auto equals = std::min(field.find('='), field.size());
    const auto name = field.substr(0, equals);
    const auto value = field.substr(std::min(equals + 1, field.size()));
    if (name == "user") {
      answer.user = unescaped(value);
    } else if (name == "reason") {
      answer.text = clean(unescaped(value));
    } else if (name == "temp" || (name == "code" && value == "temp_fail")) {
      answer.temporary = true;
    } else if (name == "resp") {
      answer.data = from_base64(value);
      if (!answer.data) return false;
    }
  }
  return true;
}

}  // namespace

std::string greeting(std::uint32_t client) { return "VERSION\t1\t1\nCPID\t" + std::to_string(client) + '\n'; }

std::string auth_line(const Question &q) {
  auto line = "AUTH\t" + std::to_string(q.id) + '\t' + q.mechanism + "\tservice=" + q.service + "\tnologin";
  if (q.secure) line += "\tsecured";
  if (!q.address.empty()) line += "\trip=" + q.address;
  if (q.response) line += "\tresp=" + to_base64(*q.response);  // the last one
  return line + '\n';
}

std::string cont_line(std::uint32_t id, std::string_view response) {
  return "CONT\t" + std::to_string(id) + '\t' + to_base64(response) + '\n';
}

std::string cancel_line(std::uint32_t id) { return "CANCEL\t" + std::to_string(id) + '\n'; }

Answer parse_answer(std::string_view line) {
  using Kind = Answer::Kind;
  Answer answer;
  const auto word = take_field(line);
  if (word == "DONE") {
    answer.kind = Kind::Done;
    return answer;
  }
  if (word == "MECH") {
    answer.text = clean(std::string{take_field(line)});
    if (!answer.text.empty()) answer.kind = Kind::Mechanism;
    return answer;
  }
  const auto kind = word == "VERSION" ? Kind::Version
                    : word == "OK"    ? Kind::Ok
                    : word == "FAIL"  ? Kind::Fail
                    : word == "CONT"  ? Kind::Continue
                                      : Kind::Other;
  if (kind == Kind::Other) {
    if (!word.empty()) answer.kind = kind;
    return answer;
  }
  if (!read_number(take_field(line), answer.id)) return answer;
  if (kind == Kind::Continue) {
    answer.data = from_base64(take_field(line));
    if (!answer.data) return answer;
  } else if (kind != Kind::Version && !read_fields(line, answer)) {
    return answer;
  }
  if (kind == Kind::Ok && answer.user.empty()) return answer;
  answer.kind = kind;
  return answer;
}

}  // namespace mansio::dovecot
