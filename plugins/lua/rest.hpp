// Rest: a handler with an on_error of its own that fails several times in a row, within a minute, is not called for a
// minute. The host does the same for a script whose failures it sees; of these it sees none, since on_error makes
// answers of them, and each would cost all that its budget allows. After the minute one call tries the handler, and the
// next one a minute later, unless it went well.
//
// Times are in ns, of one clock.
#pragma once

#include <cstdint>

namespace mansio::lua {

class Rest {
 public:
  static constexpr int kFailures = 5;
  static constexpr std::int64_t kMinute = 60'000'000'000;

  bool may_be_called(std::int64_t now) {
    if (!resting_) return true;
    if (now < until_) return false;
    until_ = now + kMinute;
    return true;
  }
  // True: it has begun to rest just now.
  bool failed(std::int64_t now) {
    if (resting_) return false;
    if (row_ == 0 || now - row_began_ > kMinute) {
      row_ = 0;
      row_began_ = now;
    }
    if (++row_ < kFailures) return false;
    row_ = 0;
    resting_ = true;
    until_ = now + kMinute;
    return true;
  }
  // True: it rested until now.
  bool went_well() {
    const bool rested = resting_;
    row_ = 0;
    resting_ = false;
    return rested;
  }

 private:
  int row_ = 0;
  bool resting_ = false;
  std::int64_t row_began_ = 0, until_ = 0;
};

}  // namespace mansio::lua
