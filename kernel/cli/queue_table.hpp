// The queue as `postqueue -p` prints it, from the JSON lines of `mansio queue list --json`, so that scripts made for
// Postfix go on working.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mansio::cli {

class QueueTable {
 public:
  // Text for one message; "" for a line that is no message.
  std::string row(std::string_view json_line);
  // "-- N Kbytes in M Request(s)." or "Mail queue is empty".
  std::string trailer() const;

 private:
  std::uint64_t messages_ = 0, bytes_ = 0;
};

}  // namespace mansio::cli
