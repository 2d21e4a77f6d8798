#include "kernel/mail/netstring.hpp"

namespace mansio {

void append_netstring(std::string &out, std::string_view bytes) {
  out.append(std::to_string(bytes.size())).append(":").append(bytes).append(",");
}

NetstringLength::State NetstringLength::feed(char c) {
  constexpr unsigned kDigits = 18;  // of any length that 64 bits hold
  if (c == ':') return digits_ == 0 ? State::Malformed : State::Done;
  const bool leading_zero = digits_ == 1 && value_ == 0;
  if (c < '0' || c > '9' || leading_zero || digits_ == kDigits) return State::Malformed;
  value_ = value_ * 10 + static_cast<unsigned>(c - '0');
  ++digits_;
  return State::More;
}

Netstring take_netstring(std::string_view in, std::uint64_t limit) {
  NetstringLength length;
  std::size_t at = 0;
  auto state = NetstringLength::State::More;
  while (state == NetstringLength::State::More && at < in.size()) state = length.feed(in[at++]);
  if (state == NetstringLength::State::Malformed || length.value() > limit) return {Netstring::State::Malformed, {}, 0};
  if (state == NetstringLength::State::More || in.size() - at <= length.value()) return {};
  const auto n = static_cast<std::size_t>(length.value());
  if (in[at + n] != ',') return {Netstring::State::Malformed, {}, 0};
  return {Netstring::State::Complete, in.substr(at, n), at + n + 1};
}

}  // namespace mansio
