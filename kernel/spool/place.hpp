// Where bytes lie in the spool. A place without its epoch means nothing: segments are recycled.
#pragma once

#include <cstdint>

#include "kernel/base/id.hpp"

namespace mansio::spool {

struct Place {
  std::uint32_t segment = 0;  // file number
  std::uint32_t epoch = 0;    // which filling of that file
  std::uint64_t offset = 0;   // of the payload, bytes from the start of the file
  std::uint64_t length = 0;   // of the payload, bytes

  bool operator==(const Place &) const = default;
  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.segment, s.epoch, s.offset, s.length);
  }
};

// One committed message, as the COMMIT record states it.
struct Committed {
  MessageId id;
  Place commit;  // of the COMMIT record itself; admission order within a segment is its offset
  Place envelope;
  Place body;  // may lie in another (large) segment

  template <class Self, class V>
  static void fields(Self &s, V &v) {
    v(s.id, s.commit, s.envelope, s.body);
  }
};

}  // namespace mansio::spool
