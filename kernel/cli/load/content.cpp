#include "kernel/cli/load/content.hpp"

#include <fmt/format.h>

#include <iterator>

namespace mansio::cli::load {

std::string fill_in(std::string_view pattern, std::uint64_t message, std::size_t session, std::size_t recipient,
                    std::uint64_t domains) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '{' && i + 2 < pattern.size() && pattern[i + 2] == '}') {
      const char what = pattern[i + 1];
      if (what == 'n' || what == 's' || what == 'r' || what == 'd') {
        const auto value = what == 'n' ? message : what == 's' ? session : what == 'd' ? message % domains : recipient;
        fmt::format_to(std::back_inserter(out), "{}", value);
        i += 2;
        continue;
      }
    }
    out.push_back(pattern[i]);
  }
  return out;
}

std::string generated_body(std::size_t size, LineForm form) {
  constexpr std::size_t kLine = 78;
  const std::string_view end = form == LineForm::Smtp ? "\r\n" : "\n";
  std::string body;
  body.reserve(size + kLine + 4);
  while (body.size() + kLine + end.size() <= size) body.append(kLine, 'X').append(end);
  const auto left = size - body.size();
  if (left > end.size()) body.append(left - end.size(), 'X').append(end);
  return body;
}

std::string prepared(std::string_view content, LineForm form) {
  const bool smtp = form == LineForm::Smtp;
  std::string out;
  bool begin = true;
  for (const char c : content) {
    if (c == '\r') continue;
    if (begin && c == '.' && smtp) out.push_back('.');
    if (c == '\n' && smtp) out.push_back('\r');
    out.push_back(c);
    begin = c == '\n';
  }
  if (!begin) out.append(smtp ? "\r\n" : "\n");
  return out;
}

}  // namespace mansio::cli::load
