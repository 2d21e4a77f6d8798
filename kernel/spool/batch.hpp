// One group commit's worth of records: the messages of many sessions as one contiguous run of whole pages.
// Whole pages, so that no later write touches a page that was synced, and none needs to be read first.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/asio.hpp"
#include "kernel/io/file.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/spool/place.hpp"
#include "kernel/spool/segment.hpp"
#include "kernel/spool/wait.hpp"

namespace mansio::spool {

// A granted segment as its writer sees it.
struct OpenSegment {
  FileHeader header;
  std::shared_ptr<io::File> file;
  std::uint64_t end = kFirstRecord;     // where the next batch begins
  std::uint64_t synced = kFirstRecord;  // on stable storage up to here
  std::uint32_t sequence = 0;           // last id given in this epoch
  std::uint32_t ordinal = 0;            // last COMMIT's
};

// A body already in a segment of its own.
struct LargePlace {
  Place body;
  std::uint32_t crc = 0;
  std::uint16_t gap = 0;
  bool synced = true;
};

// A message that waits for its group commit.
struct Pending {
  MessageId id;
  std::string prefix, body, envelope;
  std::optional<LargePlace> large;
  Durability durability = Durability::Power;
  std::uint32_t moves = 0;      // a copy's: CommitPayload::moves
  std::size_t together = 1;     // it and those behind it that are in the same batch or in none; theirs is not read
  std::shared_ptr<void> keeps;  // its large body, or its share of the memory
  bool *written = nullptr;      // of what it keeps: set when its records may reach the disk
  Committed committed;
  std::optional<Result<Committed>> result;
  Event done;

  std::uint64_t space() const;  // bytes its records take
};

struct Batch {
  std::vector<std::shared_ptr<Pending>> messages;
  std::shared_ptr<io::File> file;
  std::uint64_t offset = 0, end = 0;
  std::string meta;  // all but the bodies
  std::vector<std::string_view> pieces;
};

// Bytes that the first of `messages` takes, with those that go together with it.
std::uint64_t space_of_first(const std::vector<std::shared_ptr<Pending>> &messages);

// Lays as many of `messages` as fit, from the front, into `segment` and moves its end. Empty: not even the first fits
// with those that go together with it.
Batch lay_out(OpenSegment &segment, std::vector<std::shared_ptr<Pending>> &messages);

}  // namespace mansio::spool
