#include "plugins/transport-common/header.hpp"

#include <algorithm>
#include <vector>

#include "plugins/common/ascii.hpp"

namespace mansio::transport {
namespace {

constexpr std::size_t kBuffer = 64 * 1024;
constexpr std::size_t kMaxHeader = 1 << 20;  // of the header section is looked at

}  // namespace

bool delivered_before(const ReadMessage &read, std::string_view address) {
  constexpr std::string_view kName = "delivered-to:";
  std::string text;
  std::vector<char> in(kBuffer);
  std::size_t line = 0;
  while (text.size() < kMaxHeader) {
    const auto n = read(text.size(), in.data(), in.size());
    if (n <= 0) return false;
    text.append(in.data(), static_cast<std::size_t>(n));
    for (std::size_t end; (end = text.find("\r\n", line)) != std::string::npos; line = end + 2) {
      auto field = std::string_view{text}.substr(line, end - line);
      if (field.empty()) return false;  // the body begins
      if (field.size() < kName.size() || !ascii::equal_fold(field.substr(0, kName.size()), kName)) continue;
      field.remove_prefix(kName.size());
      while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
      while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
      if (ascii::equal_fold(field, address)) return true;
    }
  }
  return false;
}

std::string header_safe(std::string_view text) {
  std::string out{text};
  std::replace_if(
      out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return out;
}

}  // namespace mansio::transport
