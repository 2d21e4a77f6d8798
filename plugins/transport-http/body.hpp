// Body: what is POSTed, read a piece at a time, its length known beforehand: the message as it is, or in base64 between
// two texts. The message is never in memory as a whole. Pure but for `read`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "plugins/transport-common/header.hpp"

namespace mansio::http {

class Body {
 public:
  // The message as it is.
  Body(transport::ReadMessage read, std::uint64_t length);
  // `head`, the message in base64, `tail`.
  Body(std::string head, transport::ReadMessage read, std::uint64_t length, std::string tail);

  std::uint64_t size() const;
  // Up to n bytes; 0 at the end, -1 when the message cannot be read.
  std::int64_t read(char *to, std::size_t n);
  void rewind();
  bool finished() const { return given_ == size(); }  // all of it has been read

 private:
  bool fill();

  bool encoded_ = false;
  std::string head_, tail_;
  transport::ReadMessage read_;
  std::uint64_t length_;
  std::uint64_t offset_ = 0;  // in the message
  std::uint64_t given_ = 0;
  bool head_done_ = false, tail_done_ = false;
  std::string ready_;  // to be given, from ready_at_
  std::size_t ready_at_ = 0;
};

}  // namespace mansio::http
