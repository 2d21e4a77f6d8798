// QmqpReader: a QMQP request as it comes in (https://cr.yp.to/proto/qmqp.html): one netstring that holds netstrings,
// the message, the envelope sender, and each recipient. Pure and incremental; what it holds back is one address.
//
// The message comes before the envelope, so content is handed out before anybody knows whom it is for. Its lines
// may end in LF or CRLF; the reader gives the octets as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "kernel/mail/netstring.hpp"

namespace mansio {

class QmqpReader {
 public:
  explicit QmqpReader(std::size_t address_limit = 2048) : address_limit_(address_limit) {}

  enum class Part : std::uint8_t {
    More,       // `in` is used up
    Size,       // the message's length is known: content_size()
    Content,    // some octets of the message
    Sender,     // "" is the null sender
    Recipient,  // one
    End,        // of the request; there may have been no recipient
    Malformed,  // for good: where anything begins or ends is not known any more
    TooLong,    // an address over the limit; for good
  };
  struct Event {
    Part part = Part::More;
    std::string_view bytes;  // Content: inside `in`; Sender, Recipient: until the next call
  };
  // The next part at the front of `in`, from which it removes what it used.
  Event next(std::string_view &in);

  std::uint64_t content_size() const { return content_size_; }

 private:
  enum class State : std::uint8_t { Outer, Length, Bytes, Comma, LastComma, Done, Failed };
  Event fail(Part why);

  std::size_t address_limit_;
  State state_ = State::Outer;
  NetstringLength length_;
  std::uint64_t outer_ = 0;     // octets left of the outer netstring
  std::uint64_t left_ = 0;      // of the inner one
  std::uint64_t elements_ = 0;  // complete ones
  std::uint64_t content_size_ = 0;
  std::string address_;
  Part why_ = Part::Malformed;
};

}  // namespace mansio
