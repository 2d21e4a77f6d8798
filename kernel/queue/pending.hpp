// Pending: the recipients of a group that are not done, by their index in the envelope, each with what was last
// said about it. Eight bytes when there is one recipient, which is nearly always; more lie in a block of their own.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

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
    if (holds_many()) delete many();
  }

  std::uint32_t size() const {
    if (holds_many()) return static_cast<std::uint32_t>(many()->size());
    return one_.index == kNobody ? 0 : 1;
  }
  bool empty() const { return size() == 0; }
  PendingRecipient *begin() { return holds_many() ? many()->data() : &one_; }
  PendingRecipient *end() { return begin() + size(); }
  const PendingRecipient *begin() const { return holds_many() ? many()->data() : &one_; }
  const PendingRecipient *end() const { return begin() + size(); }
  PendingRecipient *find(std::uint32_t index) {
    return std::find_if(begin(), end(), [&](const PendingRecipient &p) { return p.index == index; });
  }

  void push(PendingRecipient p) {
    if (empty() && !holds_many()) {
      one_ = p;
      return;
    }
    if (!holds_many()) {
      auto *block = new std::vector<PendingRecipient>{one_};
      const auto address = reinterpret_cast<std::uintptr_t>(block);
      one_ = {static_cast<std::uint32_t>(address), static_cast<std::uint32_t>(address >> 32) | kMany};
    }
    many()->push_back(p);
  }
  void erase(PendingRecipient *p) {
    if (holds_many())
      many()->erase(many()->begin() + (p - begin()));
    else
      one_ = {kNobody, 0};
  }
  void swap(Pending &other) noexcept { std::swap(one_, other.one_); }

 private:
  static constexpr std::uint32_t kNobody = UINT32_MAX;
  // In `reason`: both fields are the address of a block. Addresses of user space end below 2^63, reasons below 2^31.
  static constexpr std::uint32_t kMany = 0x80000000u;

  bool holds_many() const { return (one_.reason & kMany) != 0; }
  std::vector<PendingRecipient> *many() const {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): 16 bytes a recipient are what this is for
    return reinterpret_cast<std::vector<PendingRecipient> *>(static_cast<std::uintptr_t>(one_.reason & ~kMany) << 32 |
                                                             one_.index);
  }

  PendingRecipient one_{kNobody, 0};
};

}  // namespace mansio::queue
