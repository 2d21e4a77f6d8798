#include "plugins/transport-smtp/client/mime.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "plugins/transport-smtp/client/text.hpp"

namespace mansio::smtp {
namespace {

constexpr int kDepthLimit = 50;  // of nested parts; deeper is an attack, not mail

struct Impossible {
  std::string why;
};
using Problem = std::optional<Impossible>;

struct Field {
  std::string_view raw;    // with folds, without the final CRLF
  std::string_view name;   // "" = no field: a line without a colon
  std::string_view value;  // after the colon
};

struct Entity {
  std::vector<Field> header;
  std::string_view separator;  // the empty line, or "" when the text ends with the header
  std::string_view body;
};

std::string_view take_line(std::string_view &text) {  // with its CRLF
  const auto end = text.find('\n');
  const auto line = text.substr(0, end == std::string_view::npos ? text.size() : end + 1);
  text.remove_prefix(line.size());
  return line;
}
std::string_view without_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

Entity split(std::string_view text) {
  Entity entity;
  while (!text.empty()) {
    auto rest = text;
    auto line = take_line(rest);
    if (without_end(line).empty()) {
      entity.separator = line;
      entity.body = rest;
      break;
    }
    while (!rest.empty() && (rest.front() == ' ' || rest.front() == '\t')) take_line(rest);
    const auto raw = without_end(text.substr(0, text.size() - rest.size()));
    const auto colon = raw.find(':');
    Field field{raw, {}, {}};
    if (colon != std::string_view::npos && colon > 0) {
      field.name = trimmed(raw.substr(0, colon));
      field.value = raw.substr(colon + 1);
    }
    entity.header.push_back(field);
    text = rest;
  }
  return entity;
}

const Field *find(const Entity &entity, std::string_view name) {
  for (const auto &field : entity.header)
    if (equal_fold(field.name, name)) return &field;
  return nullptr;
}

// "multipart/mixed" of a Content-Type, in lower case; and one of its parameters.
std::string media_type(std::string_view value) {
  std::string out;
  for (const char c : value.substr(0, value.find_first_of(";(")))
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') out += lower(c);
  return out;
}
std::string parameter(std::string_view value, std::string_view name) {
  auto at = value.find(';');
  while (at != std::string_view::npos) {
    value.remove_prefix(at + 1);
    value = value.substr(std::min(value.find_first_not_of(" \t\r\n"), value.size()));
    const auto equal = value.find('=');
    if (equal == std::string_view::npos) return {};
    const bool wanted = equal_fold(trimmed(value.substr(0, equal)), name);
    value.remove_prefix(equal + 1);
    value = value.substr(std::min(value.find_first_not_of(" \t\r\n"), value.size()));
    std::string out;
    if (value.starts_with('"')) {
      std::size_t i = 1;
      for (; i < value.size() && value[i] != '"'; ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) ++i;
        out += value[i];
      }
      value.remove_prefix(std::min(i + 1, value.size()));
    } else {
      out = trimmed(value.substr(0, value.find_first_of("; \t\r\n")));
    }
    if (wanted) return out;
    at = value.find(';');
  }
  return {};
}

const char *charset_of(std::string_view text) { return valid_utf8(text) ? "utf-8" : "unknown-8bit"; }

class Converter {
 public:
  explicit Converter(std::string &out) : out_(out) {}

  Problem entity(std::string_view text, int depth, bool digest_part) {
    if (!has_eight_bit(text)) {
      out_ += text;
      return {};
    }
    if (depth > kDepthLimit) return Impossible{"its parts are nested too deeply"};
    const auto entity = split(text);
    const bool dirty_body = has_eight_bit(entity.body);
    const auto *type_field = find(entity, "Content-Type");
    const auto *encoding_field = find(entity, "Content-Transfer-Encoding");
    const auto type =
        type_field ? media_type(type_field->value) : std::string{digest_part ? "message/rfc822" : "text/plain"};
    const auto encoding = encoding_field ? lower(trimmed(encoding_field->value)) : std::string{"7bit"};
    const bool identity = encoding == "7bit" || encoding == "8bit" || encoding == "binary" || encoding.empty();
    const bool composite = type.starts_with("multipart/") || type == "message/rfc822" || type == "message/news";
    if (dirty_body && type == "message/partial") return Impossible{"message/partial may not be encoded"};
    if (dirty_body && composite && !identity) return Impossible{"a composite part is encoded"};

    // The new Content-Transfer-Encoding; empty = the old one stays.
    std::string_view renamed;
    if (dirty_body) {
      if (composite) {
        renamed = encoding_field ? "7bit" : "";
      } else if (identity) {
        renamed = type.starts_with("text/") ? "quoted-printable" : "base64";
      } else if (encoding != "quoted-printable" && encoding != "base64") {
        return Impossible{"unknown Content-Transfer-Encoding"};
      }
    }
    if (auto problem = header(entity, renamed)) return problem;
    if (!renamed.empty() && !encoding_field) out_ += "Content-Transfer-Encoding: " + std::string{renamed} + "\r\n";
    if (!renamed.empty() && depth == 0 && !find(entity, "MIME-Version")) out_ += "MIME-Version: 1.0\r\n";
    if (!renamed.empty() && !type_field && !composite)
      out_ += std::string{"Content-Type: text/plain; charset="} + charset_of(entity.body) + "\r\n";
    out_ += entity.separator;

    if (!dirty_body) {
      out_ += entity.body;
      return {};
    }
    if (type.starts_with("multipart/"))
      return multipart(entity.body, parameter(type_field->value, "boundary"), depth, type == "multipart/digest");
    if (composite) return this->entity(entity.body, depth + 1, false);
    if (renamed == "base64") {
      out_ += base64_lines(entity.body);
    } else if (renamed == "quoted-printable") {
      out_ += quoted_printable(entity.body);
    } else if (encoding == "base64") {
      // Octets outside the alphabet are to be ignored by its readers (RFC 2045 section 6.8).
      std::copy_if(entity.body.begin(), entity.body.end(), std::back_inserter(out_),
                   [](char c) { return static_cast<unsigned char>(c) < 128; });
    } else {
      stray_octets(entity.body);
    }
    return {};
  }

 private:
  Problem header(const Entity &entity, std::string_view encoding) {
    for (const auto &field : entity.header) {
      if (!encoding.empty() && equal_fold(field.name, "Content-Transfer-Encoding")) {
        out_ += "Content-Transfer-Encoding: " + std::string{encoding} + "\r\n";
        encoding = "";
        dropping_ = true;
        continue;
      }
      if (dropping_ && equal_fold(field.name, "Content-Transfer-Encoding")) continue;  // a second one would contradict
      if (!has_eight_bit(field.raw)) {
        out_ += field.raw;
      } else {
        const auto encoded = encode_header(field.raw);
        if (encoded.empty()) return Impossible{"header " + printable_name(field.name) + " has 8-bit octets"};
        out_ += encoded;
      }
      out_ += "\r\n";
    }
    dropping_ = false;
    return {};
  }
  static std::string printable_name(std::string_view name) {
    std::string out;
    for (const char c : name.substr(0, 60)) out += c > 32 && c < 127 ? c : '?';
    return out;
  }

  // RFC 2046 section 5.1.1. Preamble and epilogue are nobody's content: their 8-bit octets become '?'.
  Problem multipart(std::string_view body, const std::string &boundary, int depth, bool digest) {
    if (boundary.empty()) return Impossible{"a multipart has no boundary"};
    const std::string delimiter = "--" + boundary;
    auto rest = body;
    std::size_t part = 0;  // where the current part begins
    enum { Preamble, Part, Epilogue } where = Preamble;
    while (!rest.empty() && where != Epilogue) {
      const auto at = body.size() - rest.size();
      const auto line = take_line(rest);
      if (!line.starts_with(delimiter)) continue;
      auto tail = without_end(line).substr(delimiter.size());
      const bool close = tail.starts_with("--");
      if (close) tail.remove_prefix(2);
      if (!trimmed(tail).empty()) continue;
      if (auto problem = piece(body.substr(part, at - part), where == Part, depth, digest)) return problem;
      out_ += line;
      part = at + line.size();
      where = close ? Epilogue : Part;
    }
    return piece(body.substr(part), where == Part, depth, digest);
  }

  Problem piece(std::string_view text, bool is_part, int depth, bool digest) {
    if (!is_part) {
      for (const char c : text) out_ += static_cast<unsigned char>(c) > 127 ? '?' : c;
      return {};
    }
    // The CRLF before a delimiter is the delimiter's.
    const bool ended = text.ends_with("\r\n");
    if (ended) text.remove_suffix(2);
    auto problem = entity(text, depth + 1, digest);
    if (ended) out_ += "\r\n";
    return problem;
  }

  void stray_octets(std::string_view text) {  // in what calls itself quoted-printable
    static constexpr char kHex[] = "0123456789ABCDEF";
    std::size_t column = 0;
    for (const char c : text) {
      const auto u = static_cast<unsigned char>(c);
      if (c == '\n') column = 0;
      if (u < 128) {
        out_ += c;
        ++column;
        continue;
      }
      if (column > 70) {
        out_ += "=\r\n";
        column = 0;
      }
      out_ += '=';
      out_ += kHex[u >> 4];
      out_ += kHex[u & 15];
      column += 3;
    }
  }

  std::string &out_;
  bool dropping_ = false;
};

}  // namespace

std::string quoted_printable(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto u = static_cast<unsigned char>(c);
    if (text.substr(i).starts_with("\r\n")) {
      out += "\r\n";
      column = 0;
      ++i;
      continue;
    }
    const bool at_end = i + 1 == text.size() || text.substr(i + 1).starts_with("\r\n");
    const bool blank = c == ' ' || c == '\t';
    // A dot at the start of a line is encoded so that no soft break makes one that needs stuffing.
    const bool literal = (u > 32 && u < 127 && c != '=' && !(c == '.' && column == 0)) || (blank && !at_end);
    if (column + (literal ? 1 : 3) > (at_end ? 76 : 75)) {
      out += "=\r\n";
      column = 0;
    }
    if (literal && !(c == '.' && column == 0)) {
      out += c;
      column += 1;
    } else {
      out += '=';
      out += kHex[u >> 4];
      out += kHex[u & 15];
      column += 3;
    }
  }
  return out;
}

std::string base64_lines(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve(bytes.size() / 57 * 78 + 80);
  std::size_t column = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t k) {
      return i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : std::uint32_t{0};
    };
    const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    out += kAlphabet[group >> 18 & 63];
    out += kAlphabet[group >> 12 & 63];
    out += i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
    out += i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
    if ((column += 4) == 76) {
      out += "\r\n";
      column = 0;
    }
  }
  if (column) out += "\r\n";
  return out;
}

Conversion convert_to_seven_bit(std::string_view message) {
  Conversion result;
  result.message.reserve(message.size() + message.size() / 4);
  Converter converter{result.message};
  if (auto problem = converter.entity(message, 0, false)) {
    result.why = std::move(problem->why);
    result.message.clear();
    return result;
  }
  if (!result.message.ends_with("\r\n")) result.message += "\r\n";
  result.ok = true;
  return result;
}

}  // namespace mansio::smtp
