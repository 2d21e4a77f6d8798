// Scanner: finds the intact records of one filling of a spool file, and tells damage from an unfinished tail.
// Takes any bytes (fuzz target spool_fuzz): it never reads outside them and its work is bounded by their size.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/io/file.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::spool {

// Bytes seen through a window.
class Bytes {
 public:
  virtual ~Bytes() = default;
  virtual std::uint64_t size() const = 0;
  // Up to `n` bytes from `offset`, at least one unless at the end or unreadable; valid until the next call.
  virtual std::string_view view(std::uint64_t offset, std::uint64_t n) = 0;
};

class MemoryBytes final : public Bytes {
 public:
  explicit MemoryBytes(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  std::string_view view(std::uint64_t offset, std::uint64_t n) override {
    return offset < bytes_.size() ? bytes_.substr(offset, n) : std::string_view{};
  }

 private:
  std::string_view bytes_;
};

// A page that cannot be read counts as zeros and is remembered: it shows as damage, and the rest is served.
class FileBytes final : public Bytes {
 public:
  explicit FileBytes(io::File &file);
  std::uint64_t size() const override { return size_; }
  std::string_view view(std::uint64_t offset, std::uint64_t n) override;
  bool read_errors() const { return read_errors_; }

 private:
  io::File &file_;
  std::uint64_t size_ = 0;
  std::string window_;
  std::uint64_t start_ = 0;
  bool read_errors_ = false;
};

struct Record {
  RecordHeader header;
  std::uint64_t at = 0;       // of the header
  std::uint64_t payload = 0;  // offset
  std::uint64_t end = 0;      // where the next record may begin
};

struct Gap {
  std::uint64_t from = 0, to = 0;
  bool damage = false;  // was on stable storage once; otherwise the tail of a batch that never was
};

struct Scan {
  std::uint64_t end = kFirstRecord;  // after the last intact record
  std::uint64_t synced = 0;          // some record says: on stable storage up to here
  std::vector<Gap> gaps;             // without the free space at the end, unless that is damage
};

// The first page; of its two copies of the header one may lie in a sector that cannot be read (then `page` has zeros).
Result<FileHeader> read_file_header(io::File &file, std::string &page);

// Nothing but zeros from `from` to the end, all of it readable.
bool all_zero(FileBytes &bytes, std::uint64_t from);

// The record at `at`, verified with its payload.
std::optional<Record> record_at(Bytes &bytes, const RecordSeal &seal, std::uint64_t at);
// Payload of a verified record.
std::string payload_of(Bytes &bytes, const Record &record);

// `each` runs for every intact record, in order; `from` is a page boundary.
Scan scan_records(Bytes &bytes, const FileHeader &header, std::uint64_t from,
                  const std::function<void(const Record &)> &each);

}  // namespace mansio::spool
