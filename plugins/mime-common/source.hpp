// Where a message is read from: piece by piece and at any offset, so that nobody has to hold it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mansio::mime {

class Source {
 public:
  virtual ~Source() = default;
  // Up to n octets from `offset` of the message on, at least one unless there are none; 0: its end. What it throws
  // leaves the function that reads.
  virtual std::size_t read(std::uint64_t offset, char *to, std::size_t n) = 0;
};

}  // namespace mansio::mime
