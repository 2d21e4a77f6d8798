// The bytes of a file on a test's disk, in pages that images share until one of them is written: a copy of a disk
// costs what changes afterwards, not its size. Pages never written are zeros and take nothing.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::test {

class DiskImage {
 public:
  static constexpr std::uint64_t kPageSize = 4096;

  std::uint64_t size() const { return size_; }

  void resize(std::uint64_t size) {
    if (size < size_) zero(size, size_ - size);
    size_ = size;
    pages_.resize((size + kPageSize - 1) / kPageSize);
  }

  std::size_t read(std::uint64_t offset, char *to, std::size_t n) const {
    if (offset >= size_) return 0;
    n = std::min<std::size_t>(n, size_ - offset);
    each_part(offset, n, [&](std::uint64_t page, std::size_t at, std::size_t from, std::size_t part) {
      if (const auto &bytes = pages_[page])
        std::memcpy(to + from, bytes->data() + at, part);
      else
        std::memset(to + from, 0, part);
    });
    return n;
  }

  void write(std::uint64_t offset, std::string_view bytes) {
    grow(offset + bytes.size());
    each_part(offset, bytes.size(), [&](std::uint64_t page, std::size_t at, std::size_t from, std::size_t part) {
      std::memcpy(own(page).data() + at, bytes.data() + from, part);
    });
  }

  void zero(std::uint64_t offset, std::uint64_t n) {
    grow(offset + n);
    each_part(offset, n, [&](std::uint64_t page, std::size_t at, std::size_t, std::size_t part) {
      if (part == kPageSize)
        pages_[page].reset();
      else if (pages_[page])
        std::memset(own(page).data() + at, 0, part);
    });
  }

  std::string text() const {
    std::string out(size_, '\0');
    read(0, out.data(), out.size());
    return out;
  }

 private:
  using Page = std::array<char, kPageSize>;

  void grow(std::uint64_t size) {
    if (size > size_) resize(size);
  }
  Page &own(std::uint64_t number) {
    auto &page = pages_[number];
    if (!page)
      page = std::make_shared<Page>(Page{});
    else if (page.use_count() > 1)
      page = std::make_shared<Page>(*page);
    return *page;
  }
  template <class F>
  static void each_part(std::uint64_t offset, std::uint64_t n, F &&f) {  // page, offset in it, offset in n, length
    for (std::uint64_t done = 0; done < n;) {
      const auto at = (offset + done) % kPageSize;
      const auto part = std::min(kPageSize - at, n - done);
      f((offset + done) / kPageSize, at, done, part);
      done += part;
    }
  }

  std::uint64_t size_ = 0;
  std::vector<std::shared_ptr<Page>> pages_;
};

}  // namespace mansio::test
