#include "kernel/ingress/reply.hpp"

namespace mansio::ingress {

std::string to_string(const Reply &reply) {
  std::string line = std::to_string(reply.code);
  line += ' ';
  if (!reply.enhanced.empty()) {
    line += to_string(reply.enhanced);
    line += ' ';
  }
  // A client's words may be quoted in the text; whatever they hold, a reply stays one line of printable text.
  for (const char c : reply.text) {
    const auto byte = static_cast<unsigned char>(c);
    line += byte < 32 || byte == 127 ? '?' : c;
    if (line.size() >= 500) break;  // RFC 5321 section 4.5.3.1.5: 512 with CRLF
  }
  return line;
}

void soften(Reply &reply) {
  if (reply.code >= 500) reply.code = static_cast<std::uint16_t>(reply.code - 100);
  if (reply.enhanced.cls == 5) reply.enhanced.cls = 4;
}

void append(std::string &out, const Reply &reply) {
  out += to_string(reply);
  out += "\r\n";
}

Reply commit_refusal(const Error &error) {
  if (error.status == Status::Busy) return {452, {4, 3, 1}, "Insufficient system storage"};
  return {451, {4, 3, 0}, "Error: queue file write error"};
}

}  // namespace mansio::ingress
