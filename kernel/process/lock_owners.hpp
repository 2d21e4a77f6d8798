// LockOwners: who may hold a lock in memory that processes share, so that the lock of a dead one can be taken over. It
// lies in that memory, where zero bytes are its beginning.
//
// A lock is a word: 0, or the id of its holder. An id is a process slot and how many processes have died in it; when
// the supervisor has seen a process end it calls end(), and from then on alive() is false of all that the process held.
// Nobody has to search for such locks.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernel/process/slots.hpp"

namespace mansio::process {

class LockOwners {
 public:
  std::uint64_t id(std::uint32_t slot) const {  // of who lives in it now; never 0
    return static_cast<std::uint64_t>(deaths_[slot % kSlots].load()) << 8 | (slot % kSlots + 1);
  }
  bool alive(std::uint64_t id) const {
    const auto slot = static_cast<std::uint32_t>(id & 0xFF) - 1;
    return slot < kSlots && deaths_[slot].load() == id >> 8;
  }
  void end(std::uint32_t slot) { deaths_[slot % kSlots].fetch_add(1); }

 private:
  std::atomic<std::uint32_t> deaths_[kSlots];
};

}  // namespace mansio::process
