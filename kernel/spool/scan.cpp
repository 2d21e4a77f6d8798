#include "kernel/spool/scan.hpp"

#include <algorithm>

#include "kernel/base/crc32c.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint64_t kWindow = 1024 * 1024;

bool zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

// May a batch end with it? (In a journal, which has no COMMIT, each ends with a SEAL.)
bool ends_batch(RecordType type) { return type == RecordType::Commit || type == RecordType::Seal; }

// The next place from `at` on, in steps of 8, where a record's header verifies. The payload is not looked at.
std::uint64_t next_header(Bytes &bytes, const RecordSeal &seal, std::uint64_t at) {
  while (at + kRecordHeader <= bytes.size()) {
    const auto chunk = bytes.view(at, kWindow);
    if (chunk.size() < kRecordHeader) break;
    std::uint64_t i = 0;
    for (; i + kRecordHeader <= chunk.size(); i += 8) {
      if (!known_type(static_cast<RecordType>(chunk[i + 14]))) continue;
      if (seal.header_matches(read_header(chunk.substr(i)))) return at + i;
    }
    at += i;
  }
  return bytes.size();
}

}  // namespace

FileBytes::FileBytes(io::File &file) : file_(file) {
  const auto size = file.size();
  if (size)
    size_ = *size;
  else
    read_errors_ = true;
}

std::string_view FileBytes::view(std::uint64_t offset, std::uint64_t n) {
  if (offset >= size_) return {};
  n = std::min({n, size_ - offset, kWindow});
  if (offset < start_ || offset + n > start_ + window_.size()) {
    start_ = offset / kPage * kPage;
    window_.resize(std::min(kWindow + kPage, size_ - start_));
    const auto got = file_.read_at(start_, window_.data(), window_.size());
    if (got) {
      std::fill(window_.begin() + static_cast<std::ptrdiff_t>(*got), window_.end(), '\0');
    } else {
      read_errors_ = true;
      for (std::uint64_t i = 0; i < window_.size(); i += kPage) {
        const auto part = std::min<std::uint64_t>(kPage, window_.size() - i);
        if (!file_.read_at(start_ + i, window_.data() + i, part)) std::fill_n(window_.data() + i, part, '\0');
      }
    }
  }
  return std::string_view{window_}.substr(offset - start_, n);
}

Result<FileHeader> read_file_header(io::File &file, std::string &page) {
  constexpr std::uint64_t kSector = 512;
  page.assign(kPage, '\0');
  if (const auto n = file.read_at(0, page.data(), kPage)) {
    page.resize(*n);
    return page.empty() ? Error{Status::NotFound, "empty"} : parse_header(page);
  }
  for (std::uint64_t at = 0; at < kPage; at += kSector)
    if (!file.read_at(at, page.data() + at, kSector)) std::fill_n(page.data() + at, kSector, '\0');
  auto header = parse_header(page);
  if (header || header.error().status == Status::Unsupported) return header;
  return Error{Status::Internal, "unreadable header"};  // neither damage nor a file that was never given out
}

bool all_zero(FileBytes &bytes, std::uint64_t from) {
  while (from < bytes.size()) {
    const auto part = bytes.view(from, kWindow);
    if (part.empty() || !zero(part) || bytes.read_errors()) return false;
    from += part.size();
  }
  return !bytes.read_errors();
}

std::optional<Record> record_at(Bytes &bytes, const RecordSeal &seal, std::uint64_t at) {
  if (at > bytes.size() || bytes.size() - at < kRecordHeader) return std::nullopt;
  const auto head = bytes.view(at, kRecordHeader);
  if (head.size() < kRecordHeader) return std::nullopt;
  Record r;
  r.header = read_header(head);
  if (!seal.header_matches(r.header)) return std::nullopt;
  r.at = at;
  r.payload = at + kRecordHeader + r.header.gap;
  const auto after = r.payload + r.header.length;
  if (after > bytes.size()) return std::nullopt;
  r.end = round_up8(after);
  auto crc = r.header.check;
  for (auto p = r.payload; p < after;) {
    const auto part = bytes.view(p, after - p);
    if (part.empty()) return std::nullopt;
    crc = crc32c(part, crc);
    p += part.size();
  }
  if (crc != r.header.crc) return std::nullopt;
  return r;
}

std::string payload_of(Bytes &bytes, const Record &record) {
  std::string out;
  while (out.size() < record.header.length) {
    const auto part = bytes.view(record.payload + out.size(), record.header.length - out.size());
    if (part.empty()) break;
    out.append(part);
  }
  return out;
}

Scan scan_records(Bytes &bytes, const FileHeader &header, std::uint64_t from,
                  const std::function<void(const Record &)> &each) {
  const RecordSeal seal{header};
  Scan scan;
  scan.end = std::max(from, kFirstRecord);
  auto at = scan.end;
  bool may_end = false;  // a batch, with the record before `at`
  while (at + kRecordHeader <= bytes.size()) {
    auto record = record_at(bytes, seal, at);
    // The rest of a batch's last page, which may be shorter than a record's header. Zeros that have something behind
    // them in their page, or no end of a batch before them, are where a sector was lost or never written.
    if (const auto rest = round_up(at, kPage) - at; !record && may_end && rest != 0 && zero(bytes.view(at, rest))) {
      at += rest;
      continue;
    }
    if (!record) {
      const auto begin = at;
      while (!record && (at = next_header(bytes, seal, at + 8)) < bytes.size()) record = record_at(bytes, seal, at);
      if (!record) {
        scan.gaps.push_back({begin, bytes.size(), false});
        break;
      }
      scan.gaps.push_back({begin, at, false});
    }
    if (record->header.type == RecordType::Commit) {
      const Place place{header.number, header.epoch, record->payload, record->header.length};
      if (const auto commit = parse_commit(payload_of(bytes, *record), place)) {
        scan.synced = std::max(scan.synced, commit->synced);
      }
    } else if (record->header.type == RecordType::Seal) {
      if (const auto synced = parse_seal(payload_of(bytes, *record))) scan.synced = std::max(scan.synced, *synced);
    }
    each(*record);
    may_end = ends_batch(record->header.type);
    at = scan.end = record->end;
  }
  for (auto &gap : scan.gaps) gap.damage = gap.from < scan.synced;
  if (!scan.gaps.empty()) {
    auto &last = scan.gaps.back();
    if (last.to == bytes.size() && last.from >= scan.end) {
      if (last.damage)
        last.to = std::min(last.to, scan.synced);
      else
        scan.gaps.pop_back();
    }
  }
  return scan;
}

}  // namespace mansio::spool
