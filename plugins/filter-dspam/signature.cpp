#include "plugins/filter-dspam/signature.hpp"

#include <algorithm>
#include <cstdint>

#include "plugins/common/ascii.hpp"
#include "plugins/filter-dspam/answer.hpp"

namespace mansio::dspam {
namespace {

constexpr std::size_t kLeastRun = 40;       // characters of base64 that are worth a look
constexpr std::size_t kValueWithin = 1000;  // of a field's colon

bool blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::size_t find_nocase(std::string_view text, std::string_view what, std::size_t from) {
  const auto begin = text.begin() + static_cast<std::ptrdiff_t>(std::min(from, text.size()));
  const auto at = std::search(begin, text.end(), what.begin(), what.end(),
                              [](char a, char b) { return ascii::lower(a) == ascii::lower(b); });
  return at == text.end() ? text.npos : static_cast<std::size_t>(at - text.begin());
}

void add(std::vector<std::string> &to, std::string_view signature) {
  if (to.size() >= kMostSignatures || !is_signature(signature)) return;
  if (std::find(to.begin(), to.end(), signature) == to.end()) to.emplace_back(signature);
}

// The signature at the beginning of `text`; quoted-printable may have broken its line. `end`: where it ends there.
std::string signature_at(std::string_view text, std::size_t &end) {
  std::string out;
  for (end = 0; end < text.size() && out.size() < 200;) {
    const auto rest = text.substr(end);
    if (ascii::letter(rest.front()) || ascii::digit(rest.front()) || rest.front() == ',') {
      out += rest.front();
      ++end;
    } else if (rest.starts_with("=\r\n")) {
      end += 3;
    } else {
      break;
    }
  }
  while (out.ends_with(',')) out.pop_back();
  return out;
}

// What a mail program puts between a field's name and its value: blanks, line ends, HTML.
std::string_view value_at(std::string_view text) {
  for (;;) {
    if (text.empty()) return text;
    if (blank(text.front())) {
      text.remove_prefix(1);
    } else if (text.starts_with("&nbsp;")) {
      text.remove_prefix(6);
    } else if (const auto end = text.substr(0, 200).find('>'); text.front() == '<' && end != text.npos) {
      text.remove_prefix(end + 1);
    } else {
      return text;
    }
  }
}

void search_text(std::string_view text, std::string_view header, std::vector<std::string> &to) {
  const auto field = std::string{header} + ':';
  std::size_t end = 0;
  for (auto at = find_nocase(text, field, 0); at != text.npos && to.size() < kMostSignatures;
       at = find_nocase(text, field, at + field.size()))
    add(to, signature_at(value_at(text.substr(at + field.size(), kValueWithin)), end));
  constexpr std::string_view kMark = "!DSPAM:";
  for (auto at = text.find(kMark); at != text.npos && to.size() < kMostSignatures;
       at = text.find(kMark, at + kMark.size())) {
    const auto rest = text.substr(at + kMark.size());
    const auto signature = signature_at(rest, end);
    if (rest.substr(end).starts_with('!')) add(to, signature);
  }
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool is_base64_line(std::string_view line) {
  while (line.ends_with('=')) line.remove_suffix(1);
  return !line.empty() && std::all_of(line.begin(), line.end(), [](char c) { return base64_value(c) >= 0; });
}

// Appends what a line stands for; bits that are left go into the next one.
class Decoder {
 public:
  void add(std::string_view line) {
    for (const char c : line) {
      const int value = base64_value(c);
      if (value < 0) continue;
      bits_ = bits_ << 6 | static_cast<std::uint32_t>(value);
      have_ += 6;
      if (have_ < 8) continue;
      have_ -= 8;
      out_ += static_cast<char>(bits_ >> have_ & 0xff);
    }
  }
  std::string take() {
    bits_ = 0;
    have_ = 0;
    std::string out;
    out.swap(out_);
    return out;
  }

 private:
  std::uint32_t bits_ = 0;
  int have_ = 0;
  std::string out_;
};

// A run of lines that are base64 and nothing else is taken for it, whatever the header of its part says.
void search_encoded(std::string_view text, std::string_view header, std::vector<std::string> &to) {
  Decoder decoder;
  std::size_t run = 0;
  const auto end_run = [&] {
    const auto decoded = decoder.take();
    if (run >= kLeastRun) search_text(decoded, header, to);
    run = 0;
  };
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    auto line = text.substr(0, end);
    text.remove_prefix(end);
    while (!line.empty() && blank(line.back())) line.remove_suffix(1);
    if (is_base64_line(line)) {
      decoder.add(line);
      run += line.size();
    } else {
      end_run();
    }
  }
  end_run();
}

}  // namespace

std::vector<std::string> find_signatures(std::string_view message, std::string_view header) {
  std::vector<std::string> found;
  search_text(message, header, found);
  search_encoded(message, header, found);
  return found;
}

}  // namespace mansio::dspam
