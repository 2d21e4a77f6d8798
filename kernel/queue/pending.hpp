// Pending: the recipients of a group that are not done, by their index in the envelope, each with what was last
// said about it. Sixteen bytes when there is one recipient, which is nearly always.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

#include "kernel/queue/reasons.hpp"

namespace mansio::queue {

struct PendingRecipient {
  std::uint32_t index = 0;
  ReasonId reason = 0;
};

class Pending {
 public:
  Pending() = default;
  Pending(Pending &&other) noexcept : Pending() { swap(other); }
  Pending &operator=(Pending &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Pending() {
    if (capacity_ > 1) delete[] store_.many;
  }

  std::uint32_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  PendingRecipient *begin() { return capacity_ > 1 ? store_.many : &store_.one; }
  PendingRecipient *end() { return begin() + size_; }
  const PendingRecipient *begin() const { return capacity_ > 1 ? store_.many : &store_.one; }
  const PendingRecipient *end() const { return begin() + size_; }
  PendingRecipient *find(std::uint32_t index) {
    return std::find_if(begin(), end(), [&](const PendingRecipient &p) { return p.index == index; });
  }

  void push(PendingRecipient p) {
    if (size_ == capacity_) {
      auto *grown = new PendingRecipient[capacity_ * 2];
      std::copy(begin(), end(), grown);
      if (capacity_ > 1) delete[] store_.many;
      store_.many = grown;
      capacity_ *= 2;
    }
    begin()[size_++] = p;
  }
  void erase(PendingRecipient *p) {
    std::move(p + 1, end(), p);
    --size_;
  }
  void swap(Pending &other) noexcept {
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    char bytes[sizeof(Storage)];
    std::memcpy(bytes, &store_, sizeof bytes);
    std::memcpy(&store_, &other.store_, sizeof bytes);
    std::memcpy(&other.store_, bytes, sizeof bytes);
  }

 private:
  union Storage {
    PendingRecipient one{};
    PendingRecipient *many;
  };
  std::uint32_t size_ = 0, capacity_ = 1;
  Storage store_;
};

}  // namespace mansio::queue
