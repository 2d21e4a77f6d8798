#include "kernel/mail/headers.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

bool blank(char c) { return c == ' ' || c == '\t'; }

// Some line that begins inside `bytes` begins with a dot; `last` is the octet before them. Searching for the dot
// and looking back, not for the line end, makes base64 bodies, which have none, one pass of memchr.
bool dot_begins_line(std::string_view bytes, char last) {
  if (bytes.front() == '.' && last == '\n') return true;
  const char *const begin = bytes.data(), *const end = begin + bytes.size();
  for (const char *p = begin + 1; p < end; ++p) {
    p = static_cast<const char *>(std::memchr(p, '.', static_cast<std::size_t>(end - p)));
    if (!p) return false;
    if (p[-1] == '\n') return true;
  }
  return false;
}

}  // namespace

void ContentScanner::note_octets(std::string_view bytes) {
  if (bytes.empty()) return;
  if (!leading_dots_ && dot_begins_line(bytes, last_)) leading_dots_ = true;
  last_ = bytes.back();
}

void ContentScanner::feed(std::string_view bytes) {
  size_ += bytes.size();
  note_octets(bytes);
  if (in_header_) scan_header(bytes);
  if (!eight_bit_ && !is_ascii(bytes)) eight_bit_ = true;
}

void ContentScanner::scan_header(std::string_view &bytes) {
  while (in_header_ && !bytes.empty()) {
    const auto newline = bytes.find('\n');
    const auto piece = bytes.substr(0, newline == std::string_view::npos ? bytes.size() : newline + 1);
    if (line_ < kHead) std::memcpy(head_.data() + line_, piece.data(), std::min(piece.size(), kHead - line_));
    line_ += piece.size();
    header_size_ += piece.size();
    if (!is_ascii(piece)) line_eight_bit_ = true;
    bytes.remove_prefix(piece.size());
    if (newline != std::string_view::npos && !end_line()) break;
  }
}

bool ContentScanner::end_line() {
  const std::string_view head{head_.data(), std::min(line_, kHead)};
  const auto length = line_;
  line_ = 0;
  const bool high = line_eight_bit_;
  line_eight_bit_ = false;
  if (high) eight_bit_ = true;
  const bool header_already = eight_bit_header_;
  if (high) eight_bit_header_ = true;  // taken back below if the line turns out to be the body's first
  if (head == "\r\n" || head == "\n") {
    in_header_ = false;
    header_size_ -= length;
    return false;
  }
  if (!any_field_ && header_size_ == length) {
    const auto quoted = head.find_first_not_of('>');
    if (quoted != head.npos && head.substr(quoted).starts_with("From ")) return mailbox_line_ = any_field_ = true;
  }
  if (blank(head.front()) && any_field_) return true;  // a continuation
  if (const auto n = field_name_length(head); n > 0) {
    any_field_ = true;
    count_field(head.substr(0, n));
    return true;
  }
  if (length > kHead && head.find(':') == std::string_view::npos &&
      head.find_first_of(" \t") == std::string_view::npos) {
    any_field_ = true;  // a field whose name is longer than we keep
    return true;
  }
  in_header_ = false;
  malformed_ = true;
  eight_bit_header_ = header_already;
  header_size_ -= length;
  return false;
}

void ContentScanner::count_field(std::string_view name) {
  switch (name.size()) {
    case 2:
      if (equals_nocase(name, "To") || equals_nocase(name, "Cc")) to_ = true;
      break;
    case 3:
      if (equals_nocase(name, "Bcc")) to_ = true;
      break;
    case 4:
      if (equals_nocase(name, "From")) from_ = true;
      if (equals_nocase(name, "Date")) date_ = true;
      break;
    case 8:
      if (equals_nocase(name, "Received")) ++received_;
      break;
    case 10:
      if (equals_nocase(name, "Message-ID")) message_id_ = true;
      break;
    case 12:
      if (equals_nocase(name, "Delivered-To")) ++delivered_to_;
      break;
    default:
      break;
  }
}

void ContentScanner::finish() {
  if (in_header_ && line_ > 0) end_line();
  in_header_ = false;
}

BodyInfo ContentScanner::info() const {
  BodyInfo info;
  info.size = size_;
  info.leading_dots = leading_dots_;
  info.eight_bit = eight_bit_;
  info.eight_bit_header = eight_bit_header_;
  info.hops = static_cast<std::uint16_t>(std::min<std::uint32_t>(received_, std::numeric_limits<std::uint16_t>::max()));
  return info;
}

std::size_t field_name_length(std::string_view line) {
  std::size_t n = 0;
  const auto printable = [](char c) {
    return static_cast<unsigned char>(c) > 32 && static_cast<unsigned char>(c) < 127;
  };
  while (n < line.size() && printable(line[n]) && line[n] != ':') ++n;
  auto colon = n;
  while (colon < line.size() && blank(line[colon])) ++colon;
  return colon < line.size() && line[colon] == ':' ? n : 0;
}

std::optional<HeaderField> next_field(std::string_view &section) {
  const auto n = field_name_length(section.substr(0, section.find('\n')));
  if (n == 0) return std::nullopt;
  std::size_t end = 0;
  do {
    const auto newline = section.find('\n', end);
    end = newline == std::string_view::npos ? section.size() : newline + 1;
  } while (end < section.size() && blank(section[end]));
  const HeaderField field{section.substr(0, n), section.substr(0, end)};
  section.remove_prefix(end);
  return field;
}

std::string HeaderField::value() const {
  std::string out;
  auto text = raw.substr(raw.find(':') + 1);
  for (const char c : text) {
    if (c != '\r' && c != '\n') out.push_back(c);
  }
  const auto first = out.find_first_not_of(" \t");
  if (first == std::string::npos) return {};
  return out.substr(first, out.find_last_not_of(" \t") - first + 1);
}

std::string_view header_section(std::string_view message) {
  auto rest = message;
  while (next_field(rest)) {
  }
  return message.substr(0, message.size() - rest.size());
}

std::optional<std::string> find_header(std::string_view section, std::string_view name) {
  while (const auto field = next_field(section)) {
    if (equals_nocase(field->name, name)) return field->value();
  }
  return std::nullopt;
}

}  // namespace mansio
