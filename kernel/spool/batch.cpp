#include "kernel/spool/batch.hpp"

#include "kernel/base/crc32c.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint64_t kLongestCommit = 96;  // payload, padded

class Layout {
 public:
  Layout(OpenSegment &segment, Batch &batch) : segment_(segment), batch_(batch), seal_(segment.header) {}

  void add(Pending &p) {
    const auto &h = segment_.header;
    CommitPayload commit;
    if (p.large) {
      commit.body = p.large->body;
      commit.body_crc = p.large->crc;
      commit.body_gap = p.large->gap;
      commit.body_synced = p.large->synced;
    } else {
      RecordHeader header;
      header.type = RecordType::Body;
      header.id = p.id.value;
      // Prefix and body are one payload in two pieces.
      seal_.finish(header, p.prefix.size() + p.body.size(), crc32c(p.body, crc32c(p.prefix)));
      append_header(batch_.meta, header);
      const auto begin = at();
      meta(p.prefix);
      body(p.body);
      pad();
      commit.body = {h.number, h.epoch, begin, p.prefix.size() + p.body.size()};
      commit.body_crc = header.crc;
    }
    RecordHeader envelope;
    envelope.type = RecordType::Envelope;
    envelope.id = p.id.value;
    seal_.finish(envelope, p.envelope);
    append_header(batch_.meta, envelope);
    commit.envelope = {h.number, h.epoch, at(), p.envelope.size()};
    commit.envelope_crc = envelope.crc;
    meta(p.envelope);
    pad();

    commit.early = p.durability == Durability::Process;
    commit.synced = segment_.synced;
    commit.ordinal = ++segment_.ordinal;
    commit.moves = p.moves;
    Place place{h.number, h.epoch, at() + kRecordHeader, 0};
    const auto payload = encode_commit(commit, place);
    place.length = payload.size();
    append_record(batch_.meta, seal_, RecordType::Commit, p.id.value, payload);
    p.committed = {p.id, place, commit.envelope, commit.body};
  }

  void finish() {
    batch_.meta.append(round_up(at(), kPage) - at(), '\0');
    batch_.end = at();
    // `meta` does not grow any more: now pieces may point into it.
    std::size_t from = 0;
    for (const auto &[where, bytes] : bodies_) {
      batch_.pieces.push_back(std::string_view{batch_.meta}.substr(from, where - from));
      batch_.pieces.push_back(bytes);
      from = where;
    }
    batch_.pieces.push_back(std::string_view{batch_.meta}.substr(from));
  }

  std::uint64_t at() const { return batch_.offset + batch_.meta.size() + in_bodies_; }

 private:
  static constexpr std::size_t kCopy = 2048;  // below this a copy is cheaper than another piece

  void meta(std::string_view bytes) { batch_.meta.append(bytes); }
  void body(const std::string &bytes) {
    if (bytes.size() <= kCopy) return meta(bytes);
    bodies_.emplace_back(batch_.meta.size(), bytes);
    in_bodies_ += bytes.size();
  }
  void pad() { batch_.meta.append(round_up8(at()) - at(), '\0'); }

  OpenSegment &segment_;
  Batch &batch_;
  RecordSeal seal_;
  std::vector<std::pair<std::size_t, std::string_view>> bodies_;
  std::uint64_t in_bodies_ = 0;
};

}  // namespace

std::uint64_t Pending::space() const {
  const auto own = large ? 0 : kRecordHeader + round_up8(prefix.size() + body.size());
  return own + kRecordHeader + round_up8(envelope.size()) + kRecordHeader + kLongestCommit;
}

std::uint64_t space_of_first(const std::vector<std::shared_ptr<Pending>> &messages) {
  std::uint64_t space = 0;
  for (std::size_t i = 0; i < messages.front()->together; ++i) space += messages[i]->space();
  return space;
}

Batch lay_out(OpenSegment &segment, std::vector<std::shared_ptr<Pending>> &messages) {
  Batch batch;
  batch.file = segment.file;
  batch.offset = segment.end;
  Layout layout{segment, batch};
  std::size_t taken = 0;
  while (taken < messages.size()) {
    const auto end = taken + messages[taken]->together;
    std::uint64_t space = 0;
    for (auto i = taken; i < end; ++i) space += messages[i]->space();
    if (round_up(layout.at() + space, kPage) > segment.header.size) break;
    for (; taken < end; ++taken) layout.add(*messages[taken]);
  }
  if (taken == 0) return batch;
  layout.finish();
  segment.end = batch.end;
  batch.messages.assign(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(taken));
  messages.erase(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(taken));
  return batch;
}

}  // namespace mansio::spool
