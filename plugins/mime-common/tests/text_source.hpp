// A message that is a text, read in pieces of any size.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/mime-common/source.hpp"
#include "plugins/mime-common/walk.hpp"

namespace mansio::mime::testing {

class TextSource final : public Source {
 public:
  explicit TextSource(std::string text, std::size_t most = 1 << 20) : text_(std::move(text)), most_(most) {}
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) override {
    if (offset >= text_.size()) return 0;
    n = std::min({n, most_, text_.size() - static_cast<std::size_t>(offset)});
    std::memcpy(to, text_.data() + offset, n);
    return n;
  }
  std::string_view range(std::uint64_t begin, std::uint64_t end) const {
    return std::string_view{text_}.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }

 private:
  std::string text_;
  std::size_t most_;
};

}  // namespace mansio::mime::testing
