#include "kernel/ingress/transcript.hpp"

#include <algorithm>

#include "kernel/mail/utf8.hpp"

namespace mansio::ingress {
namespace {

constexpr std::size_t kMost = 32 * 1024, kLongestLine = 900;  // a line of mail stays below 998 octets

}  // namespace

void Transcript::out(std::string_view replies) {
  if (!keep_) return;
  auto rest = replies.substr(std::min(taken_, replies.size()));
  taken_ = replies.size();
  while (!rest.empty()) {
    const auto end = rest.find("\r\n");
    add(" Out: ", rest.substr(0, end));
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 2);
  }
}

void Transcript::forget() {
  text_.clear();
  full_ = false;
}

void Transcript::add(std::string_view who, std::string_view line) {
  if (full_) return;
  full_ = text_.size() + line.size() > kMost;
  if (full_) {
    text_ += " ...\r\n";
    return;
  }
  text_ += who;
  text_ += printable(line.substr(0, kLongestLine), false);
  text_ += "\r\n";
}

config::NotifyMask trouble_of(const Reply &reply) {
  const auto &e = reply.enhanced;
  switch (reply.code) {
    case 421:  // too many errors or commands; our own reasons to close are no trouble
      return e.subject == 7 ? config::kNotifyProtocol : 0;
    case 454:  // TLS or authentication is not available: a certificate cannot be read, a server is down
      return config::kNotifyData;
    case 500:
    case 501:
    case 502:
    case 503:
    case 521:
    case 555:
      return config::kNotifyProtocol;
    default:
      break;
  }
  if (e.subject == 3 && reply.code < 500) return e.detail == 5 ? config::kNotifySoftware : config::kNotifyResource;
  if (e.subject == 5 && reply.code >= 500) return config::kNotifyProtocol;
  if ((e.subject == 1 || e.subject == 4) && reply.code >= 500) return config::kNotifyBounce;
  return reply.code >= 500 || e.subject == 5 ? config::kNotifyPolicy : 0;
}

}  // namespace mansio::ingress
