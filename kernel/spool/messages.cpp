#include "kernel/spool/messages.hpp"

#include <unordered_map>

namespace mansio::spool {

SegmentReport find_messages(Bytes &bytes, const FileHeader &header, std::uint64_t bad_from, bool envelopes,
                            const std::function<void(const FoundCommit &)> &each) {
  SegmentReport report;
  std::unordered_map<std::uint64_t, RecordHeader> parts;  // by payload; a message's parts are adjacent
  std::string envelope;
  std::uint64_t envelope_at = 0;
  std::uint32_t ordinal = 0;
  struct Missing {
    std::uint64_t before;
    std::uint32_t count;
  };
  std::vector<Missing> missing;
  report.scan = scan_records(bytes, header, kFirstRecord, [&](const Record &r) {
    switch (r.header.type) {
      case RecordType::Body:
        parts[r.payload] = r.header;
        return;
      case RecordType::Envelope:
        parts[r.payload] = r.header;
        if (envelopes) envelope = payload_of(bytes, r);
        envelope_at = r.payload;
        return;
      case RecordType::Commit:
        break;
      default:
        return;
    }
    FoundCommit found;
    found.message.id = MessageId{r.header.id};
    found.message.commit = {header.number, header.epoch, r.payload, r.header.length};
    const auto commit = parse_commit(payload_of(bytes, r), found.message.commit);
    if (!commit) return;
    if (bad_from == kFirstRecord || (bad_from != 0 && r.at >= bad_from && !commit->early)) return;
    ++report.commits;
    if (commit->ordinal > ordinal + 1) missing.push_back({r.at, commit->ordinal - ordinal - 1});
    ordinal = std::max(ordinal, commit->ordinal);
    found.commit = *commit;
    found.message.envelope = commit->envelope;
    found.message.body = commit->body;
    const auto intact = [&](const Place &place, std::uint32_t crc, RecordType type) {
      const auto part = parts.find(place.offset);
      return part != parts.end() && part->second.type == type && part->second.crc == crc &&
             part->second.length == place.length && part->second.id == r.header.id;
    };
    found.body_elsewhere = commit->body.segment != header.number || commit->body.epoch != header.epoch;
    found.intact = intact(commit->envelope, commit->envelope_crc, RecordType::Envelope) &&
                   (found.body_elsewhere || intact(commit->body, commit->body_crc, RecordType::Body));
    if (found.intact && envelopes && envelope_at == commit->envelope.offset) found.envelope = envelope;
    parts.clear();
    each(found);
  });
  for (const auto &m : missing) {
    if (m.before <= report.scan.synced) report.missing += m.count;
  }
  return report;
}

// In a batch nothing lies between a body and its header.
bool holds_large_body(Bytes &bytes, const FileHeader &header) {
  const auto head = bytes.view(kFirstRecord, kRecordHeader);
  if (head.size() < kRecordHeader) return false;
  const auto record = read_header(head);
  return RecordSeal{header}.header_matches(record) && record.type == RecordType::Body && record.gap != 0;
}

bool large_body_intact(Bytes &bytes, const FileHeader &header, const Committed &message, const CommitPayload &commit) {
  if (header.number != commit.body.segment || header.epoch != commit.body.epoch) return false;
  const auto record = record_at(bytes, RecordSeal{header}, kFirstRecord);
  return record && record->header.type == RecordType::Body && record->header.crc == commit.body_crc &&
         record->header.id == message.id.value && record->payload == commit.body.offset &&
         record->header.length == commit.body.length;
}

}  // namespace mansio::spool
