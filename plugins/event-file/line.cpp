#include "line.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <iterator>
#include <string_view>

namespace mansio::event_file {
namespace {

// Numbers and truths in the log.
constexpr std::string_view kBare[] = {"size",   "nrcpt", "conn_use", "attempt", "uncertain", "possible_duplicate",
                                      "deleted"};

// Length of the well-formed sequence of UTF-8 (RFC 3629) at the front of `s`; 0: none is there.
std::size_t sequence(std::string_view s) {
  const auto at = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto first = at(0);
  if (first < 0x80) return 1;
  const std::size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((at(i) & 0xC0u) != 0x80u) return 0;
  const auto second = at(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;  // too long; a surrogate
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;  // too long; beyond U+10FFFF
  return n;
}

void put_string(std::string &out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    auto n = sequence(text);
    if (n == 0) {
      out += "\\ufffd";
      n = 1;
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c < 0x20 || c == 0x7f) {
      char escaped[16];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(n);
  }
  out += '"';
}

bool is_bare(std::string_view name, std::string_view value) {
  if (std::find(std::begin(kBare), std::end(kBare), name) == std::end(kBare)) return false;
  if (value == "true") return true;
  return !value.empty() && value.size() <= 18 && (value.size() == 1 || value.front() != '0') &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
}

void put(std::string &out, std::string_view name, std::string_view value) {
  out += ',';
  put_string(out, name);
  out += ':';
  if (is_bare(name, value))
    out += value;
  else
    put_string(out, value);
}

}  // namespace

std::string utc(std::int64_t wall) {
  const auto seconds = static_cast<std::time_t>(wall / 1'000'000'000);
  std::tm t{};
  ::gmtime_r(&seconds, &t);
  char date[32] = "", text[48] = "";
  std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &t);
  std::snprintf(text, sizeof text, "%s.%03dZ", date, static_cast<int>(wall / 1'000'000 % 1000));
  return text;
}

std::string line_of(const plugin::Event &event) {
  std::string out;
  out.reserve(512);
  out += R"({"time":")" + utc(event.time()) + R"(","event":)";
  put_string(out, event.name());
  if (!event.queue_id().empty()) put(out, "qid", event.queue_id());
  if (!event.recipient().empty()) put(out, "to", event.recipient());
  for (const auto &field : event.fields()) put(out, plugin::view(field.name), plugin::view(field.value));
  out += "}\n";
  return out;
}

}  // namespace mansio::event_file
