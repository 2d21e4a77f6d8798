// The bytes of spool files: file header, record, COMMIT payload (docs/spool-format.md). Segments and journals
// share them: both are logs of records behind one header page.
//
// A record's checksums are seeded with a random salt which the header holds, with the file's number and its
// epoch. So a record of an earlier filling of the file never passes for one of this, and neither does anything
// a sender of mail puts into a body, who cannot know the salt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernel/base/id.hpp"
#include "kernel/base/result.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::spool {

inline constexpr std::uint64_t kPage = 4096;
inline constexpr std::uint64_t kFirstRecord = kPage;  // the header has a page of its own
inline constexpr std::uint64_t kRecordHeader = 24;
inline constexpr std::uint64_t kPrefixRoom =
    64 * 1024 - 8;  // in front of a body that was written before its trace headers
inline constexpr std::uint16_t kFormatVersion = 1;

constexpr std::uint64_t round_up(std::uint64_t n, std::uint64_t to) { return (n + to - 1) / to * to; }
constexpr std::uint64_t round_up8(std::uint64_t n) { return round_up(n, 8); }

enum class FileKind : std::uint8_t { Segment = 1, LargeBody = 2, Journal = 3 };

struct FileHeader {
  FileKind kind = FileKind::Segment;
  std::uint16_t version = kFormatVersion;
  std::uint16_t least_reader = kFormatVersion;  // the oldest version that understands the file
  std::uint32_t node = 0;
  std::uint32_t number = 0;
  std::uint32_t epoch = 0;  // 0: free
  std::uint64_t salt = 0;
  std::uint64_t size = 0;
};

std::string encode_header(const FileHeader &header);  // one page, two copies
// NotFound: all zero, never written. Unsupported: of a later version. Fail: damaged.
Result<FileHeader> parse_header(std::string_view page);

enum class RecordType : std::uint8_t {
  Body = 1,
  Envelope = 2,
  Commit = 3,
  Seal = 4,         // nothing follows; what precedes was synced
  Entry = 16,       // journal: the queue's own, some in one record
  Snapshot = 17,    // journal: the queue's, parts of a checkpoint
  Table = 18,       // journal: one segment's commits, part of a checkpoint
  Checkpoint = 19,  // journal: the checkpoint is complete
  Active = 20,      // journal: deliveries may be under way (payload 1) or not (0)
  Clean = 21,       // journal: orderly stop
  GivenUp = 22,     // journal: a segment's writer gave it up from some offset on
};

struct RecordHeader {
  std::uint32_t check = 0;   // CRC32C of salt, file number, epoch and the fields below
  std::uint32_t crc = 0;     // CRC32C of the payload, continued from `check`
  std::uint32_t length = 0;  // of the payload
  std::uint16_t gap = 0;     // bytes between header and payload
  RecordType type = RecordType::Body;
  std::uint8_t flags = 0;  // zero in version 1
  std::uint64_t id = 0;    // message id; journal: sequence number
};

// Seeds and verifies the checksums of one filling of one file.
class RecordSeal {
 public:
  explicit RecordSeal(const FileHeader &header);

  // Finishes `header` (type, id, gap given) for a payload of which the length and unseeded CRC32C are known.
  void finish(RecordHeader &header, std::uint64_t length, std::uint32_t payload_crc) const;
  void finish(RecordHeader &header, std::string_view payload) const;
  bool header_matches(const RecordHeader &header) const;

 private:
  std::uint32_t check(const RecordHeader &header) const;
  std::uint32_t seed_;
};

void append_header(std::string &out, const RecordHeader &header);
RecordHeader read_header(std::string_view bytes);  // at least kRecordHeader bytes; unverified
void append_record(std::string &out, const RecordSeal &seal, RecordType type, std::uint64_t id,
                   std::string_view payload);
bool known_type(RecordType type);

// What a COMMIT says. The checksums tie it to the two records, so that it is worth nothing without them.
struct CommitPayload {
  Place envelope, body;
  std::uint32_t envelope_crc = 0, body_crc = 0;  // the `crc` of those records
  std::uint16_t body_gap = 0;                    // of the BODY record
  bool body_synced = true;                       // before this record was written, if it lies in another segment
  bool early = false;                            // its session did not wait for the sync of this record
  std::uint64_t synced = 0;                      // this segment was on stable storage up to here
  std::uint32_t ordinal = 0;                     // 1, 2, 3 ... in the segment: a vanished commit shows
  std::uint32_t moves = 0;                       // how often compaction has copied the message
};

// `at`: the COMMIT's own payload. Places of the same segment are kept as distances.
std::string encode_commit(const CommitPayload &commit, const Place &at);
std::optional<CommitPayload> parse_commit(std::string_view payload, const Place &at);

std::string encode_seal(std::uint64_t synced);
std::optional<std::uint64_t> parse_seal(std::string_view payload);

std::string file_name(std::uint32_t number);  // eight hexadecimal digits
std::optional<std::uint32_t> parse_file_name(std::string_view name);

}  // namespace mansio::spool
