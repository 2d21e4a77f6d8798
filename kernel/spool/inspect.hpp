// A spool seen from outside, with no Mansio running on it: nothing is changed, nothing is trusted.
// Behind `mansio spool check` and `mansio spool dump`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/result.hpp"
#include "kernel/io/file.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::spool {

struct Inspection {
  std::uint64_t segments = 0, free_segments = 0;
  std::uint64_t messages = 0;   // intact, finished ones that still lie there included
  std::uint64_t copies = 0;     // compaction's, of messages counted already: the old place is not used again yet
  std::uint64_t fragments = 0;  // never acknowledged: no damage
  std::uint64_t journal_files = 0, journal_records = 0;
  std::uint64_t problems = 0;
};

// Verifies every record; `problem` gets one line for each thing that is wrong.
Result<Inspection> inspect_spool(io::FileSystem &files, const std::string &directory,
                                 const std::function<void(const std::string &)> &problem);

struct DumpedRecord {
  FileKind file = FileKind::Segment;
  std::uint32_t number = 0, epoch = 0;
  std::uint64_t offset = 0;  // of the payload
  RecordHeader header;
  std::optional<Envelope> envelope;     // ENVELOPE, if it can be decoded
  std::optional<CommitPayload> commit;  // COMMIT
};
// Every intact record, segments by number, then the journal.
Result<void> dump_spool(io::FileSystem &files, const std::string &directory,
                        const std::function<void(const DumpedRecord &)> &each);

// One message as it lies there: its envelope, then its bytes. `segment`: where its COMMIT is likely to be; all are
// looked through otherwise. NotFound: no such message; Fail: it is damaged.
Result<void> copy_message(io::FileSystem &files, const std::string &directory, MessageId id,
                          std::optional<std::uint32_t> segment,
                          const std::function<void(const Committed &, const Envelope &)> &head,
                          const std::function<bool(std::string_view)> &out);
Result<void> copy_body(io::FileSystem &files, const std::string &directory, MessageId id,
                       const std::function<bool(std::string_view)> &out);

std::string_view name(RecordType type);

}  // namespace mansio::spool
