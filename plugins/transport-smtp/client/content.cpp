#include "plugins/transport-smtp/client/content.hpp"

#include <algorithm>

namespace mansio::smtp {

bool is_canonical(std::string_view text) {
  // One pass over LF and one over CR, both with memchr: about the speed of a copy.
  std::size_t lines = 0;
  for (auto at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1), ++lines) {
    if (at == 0 || text[at - 1] != '\r') return false;
  }
  std::size_t returns = 0;
  for (auto at = text.find('\r'); at != std::string_view::npos; at = text.find('\r', at + 1)) ++returns;
  return lines == returns && (text.empty() || text.back() == '\n');
}

void ContentFilter::add(std::string_view text, std::string &out) {
  while (!text.empty()) {
    if (pending_cr_) {  // whatever follows, the CR was a line end
      pending_cr_ = false;
      out += "\r\n";
      line_start_ = true;
      if (text.front() == '\n') text.remove_prefix(1);
      continue;
    }
    if (line_start_ && stuff_ && text.front() == '.') out += '.';
    const auto end = std::min(text.find_first_of("\r\n"), text.size());
    out += text.substr(0, end);
    if (end > 0) line_start_ = false;
    if (end == text.size()) return;
    if (text[end] == '\r') {
      pending_cr_ = true;
    } else {
      out += "\r\n";
      line_start_ = true;
    }
    text.remove_prefix(end + 1);
  }
}

void ContentFilter::finish(std::string &out) {
  if (pending_cr_ || !line_start_) out += "\r\n";
  pending_cr_ = false;
  line_start_ = true;
}

}  // namespace mansio::smtp
