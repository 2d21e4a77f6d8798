#include "kernel/base/log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <iterator>

namespace mansio {
namespace {

// Length of the well-formed UTF-8 sequence at the front of `s` (RFC 3629), 0 if there is none.
std::size_t utf8_sequence(std::string_view s) {
  const auto byte = [&](std::size_t i) { return i < s.size() ? static_cast<unsigned char>(s[i]) : 0u; };
  const auto tail = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned a = byte(0), b = byte(1);
  if (a < 0x80) return 1;
  if (a >= 0xC2 && a <= 0xDF) return tail(1) ? 2 : 0;
  if (a >= 0xE0 && a <= 0xEF) {
    if (!tail(1) || !tail(2) || (a == 0xE0 && b < 0xA0) || (a == 0xED && b > 0x9F)) return 0;
    return 3;
  }
  if (a >= 0xF0 && a <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3) || (a == 0xF0 && b < 0x90) || (a == 0xF4 && b > 0x8F)) return 0;
    return 4;
  }
  return 0;
}

// Octets that stand for themselves in a JSON string, at the front of `s`.
std::size_t plain_run(std::string_view s) {
  std::size_t n = 0;
  while (n < s.size()) {
    const auto c = static_cast<unsigned char>(s[n]);
    if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\') break;
    ++n;
  }
  return n;
}

constexpr std::string_view level_name(LogLevel level) {
  constexpr std::string_view names[] = {"debug", "info", "warn", "error"};
  return names[static_cast<int>(level)];
}

struct AppendValue {
  std::string &out;
  void operator()(std::string_view v) const { append_json_string(out, v); }
  void operator()(MessageId v) const { append_json_string(out, to_string(v)); }
  void operator()(bool v) const { out += v ? "true" : "false"; }
  void operator()(auto v) const { fmt::format_to(std::back_inserter(out), "{}", v); }
};

}  // namespace

void append_json_string(std::string &out, std::string_view bytes) {
  out.push_back('"');
  while (true) {
    const auto plain = plain_run(bytes);
    out.append(bytes.substr(0, plain));
    bytes.remove_prefix(plain);
    if (bytes.empty()) break;
    const auto c = static_cast<unsigned char>(bytes.front());
    std::size_t n = 1;
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else if ((n = utf8_sequence(bytes)) == 0) {
      out += "\\ufffd";
      n = 1;
    } else {
      out.append(bytes.substr(0, n));
    }
    bytes.remove_prefix(n);
  }
  out.push_back('"');
}

std::string rfc3339(Nanos wall) {
  const std::time_t seconds = wall / kSecond;
  std::tm t{};
  gmtime_r(&seconds, &t);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour,
                     t.tm_min, t.tm_sec, wall % kSecond / kMillisecond);
}

void FdLogSink::emit(LogLevel, std::string_view line) {
  // A log that cannot be written must not stop mail: the line is dropped.
  [[maybe_unused]] const auto n = ::write(fd_, line.data(), line.size());
}

void Logger::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!enabled(level)) return;
  std::string out;
  out.reserve(192);
  out += R"({"time":")";
  out += rfc3339(clock_->wall());
  out += R"(","level":")";
  out += level_name(level);
  out += R"(","process":)";
  append_json_string(out, process_);
  out += R"(,"event":)";
  append_json_string(out, event);
  for (const auto &f : fields) {
    out.push_back(',');
    append_json_string(out, f.key);
    out.push_back(':');
    std::visit(AppendValue{out}, f.value);
  }
  out += "}\n";
  sink_->emit(level, out);
}

}  // namespace mansio
