// From intact records to intact messages: which COMMITs of a segment have all that they promise.
#pragma once

#include <functional>
#include <string>

#include "kernel/spool/scan.hpp"

namespace mansio::spool {

struct FoundCommit {
  Committed message;
  CommitPayload commit;
  bool intact = false;          // envelope and, if it lies in this segment, body
  bool body_elsewhere = false;  // then the body is not looked at here
  std::string envelope;         // bytes, when wanted and intact
};

struct SegmentReport {
  Scan scan;
  std::uint32_t commits = 0;  // COMMIT records found
  std::uint32_t missing = 0;  // vanished, though later ones show that they had been synced
};

// Messages of one segment in commit order. From `bad_from` on, if it is not 0, a sync failed: only those count of which
// a sender was told before that they were taken. If it is kFirstRecord nothing counts.
SegmentReport find_messages(Bytes &bytes, const FileHeader &header, std::uint64_t bad_from, bool envelopes,
                            const std::function<void(const FoundCommit &)> &each);

// Does this filling hold one large body and nothing else? It may be verified only together with its COMMIT.
bool holds_large_body(Bytes &bytes, const FileHeader &header);
// The BODY record of such a segment.
bool large_body_intact(Bytes &bytes, const FileHeader &header, const Committed &message, const CommitPayload &commit);

}  // namespace mansio::spool
