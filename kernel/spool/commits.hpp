// What is known of the commits in one segment: five bytes each, found by their offset.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/codec.hpp"
#include "kernel/base/tight_vector.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::spool {

enum class CommitState : std::uint8_t {
  Seen,      // in the segment, not in the queue's index
  Live,      // admitted
  Retiring,  // done; the outcome is not yet synced
  Retired,   // done for ever: never reported again
};

class Commits {
 public:
  bool known(std::uint64_t offset) const {
    const auto i = position(offset);
    return i < at_.size() && at_[i] == offset / 8;
  }
  CommitState state(std::uint64_t offset) const { return state_[position(offset)]; }  // of a known one
  void set(std::uint64_t offset, CommitState state) {
    const auto i = position(offset);
    if (i == at_.size() || at_[i] != offset / 8) {
      if (i < at_.size()) count_span(i, -1);  // which begins at the new one from here on
      make_room(at_);
      make_room(state_);
      at_.insert(at_.begin() + static_cast<std::ptrdiff_t>(i), static_cast<std::uint32_t>(offset / 8));
      state_.insert(state_.begin() + static_cast<std::ptrdiff_t>(i), state);
      if (i + 1 < at_.size()) count_span(i + 1, 1);
    } else {
      count_span(i, -1);
      --counts_[static_cast<std::size_t>(state_[i])];
      state_[i] = state;
    }
    count_span(i, 1);
    ++counts_[static_cast<std::size_t>(state)];
  }
  // Octets from each live commit back to the one before it: what lies between is what it names, and padding.
  std::uint64_t live_bytes() const { return static_cast<std::uint64_t>(live_) * 8; }
  // The first live ones behind this offset.
  std::vector<std::uint64_t> live_after(std::uint64_t offset, std::size_t most) const {
    std::vector<std::uint64_t> out;
    for (auto i = position(offset + 8); i < at_.size() && out.size() < most; ++i)
      if (state_[i] == CommitState::Live) out.push_back(std::uint64_t{at_[i]} * 8);
    return out;
  }
  std::size_t size() const { return at_.size(); }
  void shrink() {  // nothing more is expected
    at_.shrink_to_fit();
    state_.shrink_to_fit();
  }
  std::uint64_t count(CommitState state) const { return counts_[static_cast<std::size_t>(state)]; }
  bool all_retired() const { return count(CommitState::Retired) == size(); }

  // For the checkpoint: offsets of those that are done, as distances.
  std::string encode_done() const {
    std::string out;
    Encoder e{out};
    std::uint32_t last = 0;
    for (std::size_t i = 0; i < at_.size(); ++i) {
      if (state_[i] < CommitState::Retiring) continue;
      e.varint(at_[i] - last);
      last = at_[i];
    }
    return out;
  }
  bool decode_done(std::string_view bytes) {
    Decoder d{bytes};
    std::uint64_t last = 0;
    while (d.ok() && !d.rest().empty()) {
      last += d.varint();
      if (last > UINT32_MAX) return false;
      set(last * 8, CommitState::Retired);
    }
    return d.ok();
  }

 private:
  void count_span(std::size_t i, int sign) {
    if (state_[i] != CommitState::Live) return;
    live_ += static_cast<std::uint32_t>(sign) * (at_[i] - (i == 0 ? 0 : at_[i - 1]));
  }
  std::size_t position(std::uint64_t offset) const {
    const auto key = static_cast<std::uint32_t>(offset / 8);
    if (at_.empty() || at_.back() < key) return at_.size();  // they mostly come in order
    if (at_.back() == key) return at_.size() - 1;            // and are asked about then
    return static_cast<std::size_t>(std::lower_bound(at_.begin(), at_.end(), key) - at_.begin());
  }

  std::vector<std::uint32_t> at_;  // offset / 8, sorted
  std::vector<CommitState> state_;
  std::array<std::uint64_t, 4> counts_{};
  std::uint32_t live_ = 0;  // live_bytes() / 8
};

// A checkpoint's word on one segment.
struct TableEntry {
  std::uint32_t segment = 0, epoch = 0;
  std::uint64_t bad_from = 0;
  std::uint64_t live = 0;  // messages admitted and not done: if the segment is gone, so many are lost
  std::string done;        // Commits::encode_done
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch, s.bad_from, s.live, s.done);
  }
};

// A write or sync failed there: from this offset on nothing of it counts, whatever the page cache shows.
struct GivenUpEntry {
  std::uint32_t segment = 0, epoch = 0;
  std::uint64_t bad_from = 0;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch, s.bad_from);
  }
};

}  // namespace mansio::spool
