// The journal read back: which file the replay begins with, and every entry from there on.
#include <algorithm>

#include "kernel/base/codec.hpp"
#include "kernel/spool/journal.hpp"
#include "kernel/spool/scan.hpp"

namespace mansio::spool {
namespace {

// Entries or parts that follow each other share a record: `each` is given them one by one.
template <class F>
void unpack(std::string_view payload, F &&each) {
  Decoder d{payload};
  while (d.ok() && !d.rest().empty()) {
    std::string_view piece;
    d.get(piece);
    if (d.ok()) each(piece);
  }
}

}  // namespace

Result<Replayed> replay_journal(io::FileSystem &files, const std::string &directory,
                                const std::function<void(RecordType, std::string_view)> &each) {
  auto names = files.list(directory);
  if (!names) return names.error();
  Replayed out;
  std::vector<std::uint32_t> numbers;
  for (const auto &name : *names) {
    if (const auto number = parse_file_name(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  if (!numbers.empty()) out.last_file = numbers.back();

  // Which file holds the newest complete checkpoint, and which checkpoints are complete at all?
  struct Opened {
    std::unique_ptr<io::File> file;
    FileHeader header;
    bool checkpoint = false;
    std::uint64_t counts_to = UINT64_MAX;  // here begins what is missing of a batch that was never synced
  };
  std::vector<Opened> opened;
  std::size_t first = 0;
  for (const auto number : numbers) {
    auto file = files.open(directory + "/" + file_name(number), io::OpenMode::Read);
    if (!file) return file.error();
    std::string page;
    auto header = read_file_header(**file, page);
    if (!header && header.error().status == Status::Unsupported) return header.error();
    if (header && header->number == number && header->kind != FileKind::Journal) continue;
    if (!header || header->number != number) {
      // Never finished, or a spare being renamed: its header is synced before its first record. Of one whose write was
      // cut short there may be a part that is no header; then nothing was ever written behind it.
      const auto unfinished = [&] {
        FileBytes bytes{**file};
        const auto status = header.error().status;
        return (status == Status::Fail || status == Status::NotFound) && all_zero(bytes, kFirstRecord);
      };
      if (!header && !unfinished()) ++out.damaged;
      continue;
    }
    Opened o{std::move(*file), *header};
    FileBytes bytes{*o.file};
    std::uint64_t parts = 0, checkpoint_at = 0;
    const auto scan = scan_records(bytes, o.header, kFirstRecord, [&](const Record &r) {
      // Writes are not ordered before their sync: the last record may be there and others not.
      if (r.header.type == RecordType::Snapshot) unpack(payload_of(bytes, r), [&](std::string_view) { ++parts; });
      if (r.header.type == RecordType::Table) ++parts;
      if (r.header.type != RecordType::Checkpoint) return;
      const auto end = decode<CheckpointEnd>(payload_of(bytes, r));
      o.checkpoint = end && end->file == o.header.number && end->parts == parts;
      checkpoint_at = r.at;
    });
    // Of the last batch, if its sync failed, there may be the end without what stands before it. The file after this
    // one has all of it again, and would be taken for a repetition if the end counted here.
    for (const auto &gap : scan.gaps) {
      out.damaged += gap.damage;
      if (!gap.damage) o.counts_to = std::min(o.counts_to, gap.from);
    }
    o.checkpoint = o.checkpoint && checkpoint_at < o.counts_to;
    out.damaged += bytes.read_errors();  // the last batch would pass for the tail of one that was never synced
    opened.push_back(std::move(o));
    if (opened.back().checkpoint) first = opened.size() - 1;
  }
  // Older files go only once a checkpoint is complete: if some are gone and none is, it was damaged.
  const bool complete = std::any_of(opened.begin(), opened.end(), [](const Opened &o) { return o.checkpoint; });
  if (!numbers.empty() && numbers.front() > 1 && !complete) ++out.damaged;
  out.checkpoint = complete;
  for (std::size_t i = first; i < opened.size(); ++i) {
    auto &o = opened[i];
    FileBytes bytes{*o.file};
    const bool snapshot = i == first;
    const auto scan = scan_records(bytes, o.header, kFirstRecord, [&](const Record &r) {
      if (r.at >= o.counts_to) return;
      if (snapshot && (r.header.type == RecordType::Snapshot || r.header.type == RecordType::Table))
        out.checkpoint_bytes += r.end - r.at;
      switch (r.header.type) {
        case RecordType::Snapshot:
          if (snapshot)
            unpack(payload_of(bytes, r), [&](std::string_view piece) { each(RecordType::Snapshot, piece); });
          return;
        case RecordType::Table:
          // Of a checkpoint that was cut short nothing is used: what it replaces is still there. (If it is not,
          // this is the first file and damaged; then a part is better than nothing.)
          if (snapshot) each(r.header.type, payload_of(bytes, r));
          return;
        case RecordType::Entry:
        case RecordType::Active:
        case RecordType::Clean:
        case RecordType::Checkpoint:
        case RecordType::GivenUp:
          if (r.header.id <= out.last_sequence) return;
          out.last_sequence = r.header.id;
          out.clean = r.header.type == RecordType::Clean;
          if (r.header.type == RecordType::Active) out.active = payload_of(bytes, r) != std::string(1, '\0');
          if (r.header.type == RecordType::Entry)
            unpack(payload_of(bytes, r), [&](std::string_view piece) { each(RecordType::Entry, piece); });
          if (r.header.type == RecordType::GivenUp) each(r.header.type, payload_of(bytes, r));
          return;
        default:
          return;
      }
    });
    out.bytes += scan.end;
    out.read.push_back({o.header.number, std::max(scan.synced, kFirstRecord), scan.end});
  }
  return out;
}

}  // namespace mansio::spool
