// Netstrings: "5:hello," is the octets "hello" (https://cr.yp.to/proto/netstrings.txt). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mansio {

void append_netstring(std::string &out, std::string_view bytes);

// The length in front of a netstring, octet by octet, up to and with its colon.
class NetstringLength {
 public:
  enum class State : std::uint8_t { More, Done, Malformed };
  State feed(char c);
  std::uint64_t value() const { return value_; }
  bool begun() const { return digits_ != 0; }

 private:
  std::uint64_t value_ = 0;
  unsigned digits_ = 0;
};

struct Netstring {
  enum class State : std::uint8_t { Complete, More, Malformed } state = State::More;
  std::string_view bytes;  // Complete: inside `in`
  std::size_t length = 0;  // Complete: of the whole netstring in `in`
};
// The netstring at the front of `in`; one of more than `limit` octets is Malformed.
Netstring take_netstring(std::string_view in, std::uint64_t limit);

}  // namespace mansio
