// Compaction: a segment that is mostly done with keeps its whole size on the disk for a few messages that wait. They
// are copied into a cold segment, under their ids, and the segment is recycled like any other.
//
// The thread reads, verifies, writes and syncs a portion at a time; the loop decides between portions, so that neither
// it nor a grant waits for more than one. What may be on the disk without the loop's knowledge is never more than the
// portion under way, and while there is one no checkpoint begins (wants_checkpoint). After an error the copies of the
// portion may be there or not: they count as done from then on, as their messages still lie where they did.
#include <algorithm>
#include <deque>
#include <utility>

#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint64_t kSparse = 4;         // live bytes are less than this part of the segment
constexpr std::uint64_t kEmptying = 64;      // if this part was done since the last look, it will be empty soon anyway
constexpr std::uint64_t kColdParts = 4;      // of the cold file: in all but one of them there is room for copies
constexpr std::size_t kListed = 256;         // commits looked at in one portion
constexpr std::uint64_t kCopied = 1u << 20;  // bytes copied in one portion, about: the next message may be larger

}  // namespace

struct StoreImpl::Compaction {
  struct Item {
    MessageId id;
    Place at;  // of its COMMIT
    CommitPayload commit;
    bool intact = false, unreadable = false;
    std::uint64_t bytes() const {
      return commit.envelope.length + (commit.body.segment == at.segment ? commit.body.length : 0);
    }
    Committed committed() const { return {id, at, commit.envelope, commit.body}; }
  };
  Place from;
  Mover *mover = nullptr;
  std::uint64_t looked = 0;  // at commits up to this offset
  std::deque<Item> items;    // listed, and not yet copied
  bool waiting = false;      // for a checkpoint to begin
  bool given_up = false;
  std::uint64_t messages = 0, bytes = 0;
  std::uint32_t into = 0;
  void put_back(std::deque<Item> &which) {
    for (; !which.empty(); which.pop_back()) items.push_front(which.back());
  }
};

struct StoreImpl::Portion {
  std::deque<Compaction::Item> items;  // in the end: those that did not fit
  std::vector<Compaction::Item> bad;   // do not verify, or cannot be read
  std::vector<Place> from;             // of the batch's messages
  Batch batch;
  Result<void> result;
};

namespace {

// The record whose payload lies there, if it is what the COMMIT says.
std::optional<std::string> verified(FileBytes &bytes, const RecordSeal &seal, const Place &payload, std::uint16_t gap,
                                    RecordType type, MessageId id, std::uint32_t crc) {
  const auto before = kRecordHeader + gap;
  if (payload.offset < kFirstRecord + before) return std::nullopt;
  const auto record = record_at(bytes, seal, payload.offset - before);
  if (!record || record->header.type != type || record->header.id != id.value || record->header.crc != crc ||
      record->payload != payload.offset || record->header.length != payload.length)
    return std::nullopt;
  return payload_of(bytes, *record);
}

}  // namespace

// ---- which segment -------------------------------------------------------------------------------------------------

bool StoreImpl::sparse(const Segment &segment) const {
  return segment.phase == Phase::Sealed && !segment.unread && !segment.spoiled && !segment.large &&
         segment.header.kind == FileKind::Segment && segment.commits.count(CommitState::Live) > 0 &&
         segment.commits.count(CommitState::Seen) == 0 && segment.commits.live_bytes() < segment.size / kSparse;
}

// Only for a segment that it can empty: one emptied in part gives nothing back, and there would be no other.
bool StoreImpl::may_take_cold_file() {
  const auto *segment = compaction_ ? find(compaction_->from) : nullptr;
  return segment && cold_file_ == ColdFile::Kept &&
         segment->commits.live_bytes() <= cold_file_size() / kColdParts * (kColdParts - 1);
}

void StoreImpl::compact(Mover &mover) {
  if (closing_ || !thread_ || finding_) return;
  if (compaction_) {
    if (std::exchange(compaction_->waiting, false)) copy_portion(compaction_);
    return;
  }
  const auto now = clock_.mono();
  // All that was copied there is done: it would wait for ever to be filled.
  if (auto *cold = cold_ ? find(cold_->header.number, cold_->header.epoch) : nullptr;
      cold && cold->commits.size() > 0 && cold->commits.all_retired())
    seal_cold(0);
  Segment *best = nullptr;
  std::uint64_t freed = 0, copied = 0;
  for (auto &[number, segment] : segments_) {
    if (!sparse(segment)) {
      segment.sparse_since.reset();
      continue;
    }
    const auto alive = segment.commits.count(CommitState::Live), before = std::exchange(segment.live_before, alive);
    if (!segment.sparse_since || alive + alive / kEmptying < before) segment.sparse_since = now;
    if (now < *segment.sparse_since + options_.compact_after) continue;
    freed += segment.size;
    copied += segment.commits.live_bytes();
    if (!best || segment.commits.live_bytes() < best->commits.live_bytes()) best = &segment;
  }
  if (!best || now < compact_at_) return;
  // A new cold segment takes as much as one sparse one gives: so not before all together give more.
  const auto room = cold_ ? cold_->header.size - cold_->end : 0;
  if (best->commits.live_bytes() > room) {
    const auto takes = free_count() > 0 ? options_.segment_size : ordinary_size();
    if (freed <= takes + copied) return;
  }
  const auto c = std::make_shared<Compaction>();
  c->from = {best->header.number, best->header.epoch, 0, 0};
  c->mover = &mover;
  compaction_ = c;
  pin(c->from);
  list_portion(c);
}

void StoreImpl::end_compaction(std::shared_ptr<Compaction> c) {
  compaction_.reset();
  if (auto *segment = find(c->from)) {
    segment->sparse_since = clock_.mono();  // what could not be moved now may be later
    const auto left = segment->commits.count(CommitState::Live);
    compacted_messages_ += c->messages;
    compacted_segments_ += c->messages > 0 && left == 0;
    if (c->messages > 0)
      log_.debug("segment compacted", {{"segment", c->from.segment},
                                       {"epoch", c->from.epoch},
                                       {"messages", c->messages},
                                       {"bytes", c->bytes},
                                       {"left", left},
                                       {"into", c->into}});
  }
  unpin(c->from);
}

// ---- a portion -----------------------------------------------------------------------------------------------------

// Whose commits they are stands in the segment only.
void StoreImpl::list_portion(std::shared_ptr<Compaction> c) {
  auto *segment = find(c->from);
  const auto offsets =
      segment && !c->given_up ? segment->commits.live_after(c->looked, kListed) : std::vector<std::uint64_t>{};
  Result<std::shared_ptr<io::File>> file = std::shared_ptr<io::File>{};
  if (!offsets.empty()) file = file_of(*segment);
  if (offsets.empty() || !file) return end_compaction(c);
  c->looked = offsets.back();
  auto listed = std::make_shared<std::deque<Compaction::Item>>();
  thread_->run(
      [listed, offsets, file = *file, header = segment->header] {
        FileBytes bytes{*file};
        const RecordSeal seal{header};
        for (const auto offset : offsets) {
          Compaction::Item item;
          item.at = {header.number, header.epoch, offset, 0};
          const auto record = record_at(bytes, seal, offset - kRecordHeader);
          if (record && record->header.type == RecordType::Commit) {
            item.id = MessageId{record->header.id};
            item.at.length = record->header.length;
            const auto said = parse_commit(payload_of(bytes, *record), item.at);
            item.intact = said.has_value();
            if (said) item.commit = *said;
          }
          listed->push_back(item);
        }
      },
      [this, c, listed] {
        if (closing_) return;
        c->items = std::move(*listed);
        copy_portion(c);
      });
}

void StoreImpl::copy_portion(std::shared_ptr<Compaction> c) {
  if (closing_) return;
  auto *segment = find(c->from);
  if (!segment || c->given_up) return end_compaction(c);
  if (journal_.wants_checkpoint(journal_room())) {  // else it would hardly find the moment between two portions
    c->waiting = true;
    return;
  }
  auto portion = std::make_shared<Portion>();
  for (std::uint64_t bytes = 0; !c->items.empty() && bytes < kCopied; c->items.pop_front()) {
    auto &item = c->items.front();
    const auto at = item.at.offset;
    if (segment->commits.state(at) != CommitState::Live) continue;  // done meanwhile
    if (!item.intact) {
      segment->spoiled = true;  // whose it is cannot be told; its delivery or a start sets it aside
      log_.error("commit unreadable: segment not compacted", {{"segment", c->from.segment}, {"offset", at}});
      continue;
    }
    if (!c->mover->may_move(item.id, item.at)) continue;
    bytes += item.bytes();
    portion->items.push_back(item);
  }
  if (portion->items.empty()) return list_portion(c);
  auto file = file_of(*segment);
  if (!file) return end_compaction(c);
  if (!cold_) {
    c->put_back(portion->items);
    return take_cold(c);
  }
  copying_ = true;
  thread_->run(
      [portion, file = *file, header = segment->header, cold = cold_] {
        FileBytes bytes{*file};
        const RecordSeal seal{header};
        std::vector<std::shared_ptr<Pending>> messages;
        std::vector<Compaction::Item> items;
        for (auto &item : portion->items) {
          const auto &said = item.commit;
          auto p = std::make_shared<Pending>();
          p->id = item.id;
          p->moves = said.moves + 1;
          const bool elsewhere = said.body.segment != header.number || said.body.epoch != header.epoch;
          auto envelope = verified(bytes, seal, said.envelope, 0, RecordType::Envelope, item.id, said.envelope_crc);
          auto body = elsewhere ? std::optional{std::string{}}
                                : verified(bytes, seal, said.body, 0, RecordType::Body, item.id, said.body_crc);
          if (!envelope || !body) {
            item.unreadable = bytes.read_errors();
            portion->bad.push_back(item);
            continue;
          }
          p->envelope = std::move(*envelope);
          p->body = std::move(*body);
          if (elsewhere) p->large = LargePlace{said.body, said.body_crc, said.body_gap, said.body_synced};
          messages.push_back(std::move(p));
          items.push_back(item);
        }
        portion->items.clear();
        if (messages.empty()) return;
        portion->batch = lay_out(*cold, messages);
        const auto laid = portion->batch.messages.size();
        for (std::size_t i = 0; i < items.size(); ++i) {
          if (i < laid)
            portion->from.push_back(items[i].at);
          else
            portion->items.push_back(items[i]);
        }
        if (laid == 0) return;
        portion->result = cold->file->write_at(portion->batch.offset, portion->batch.pieces);
        if (portion->result) portion->result = cold->file->data_sync();
        if (portion->result) cold->synced = portion->batch.end;
      },
      [this, c, portion] {
        if (!closing_) settle_portion(c, *portion);
      });
}

void StoreImpl::settle_portion(std::shared_ptr<Compaction> c, Portion &portion) {
  auto *cold = find(cold_->header.number, cold_->header.epoch);
  auto *segment = find(c->from);
  for (std::size_t i = 0; i < portion.from.size(); ++i) {
    const auto &copy = portion.batch.messages[i]->committed;
    if (!portion.result) {
      cold->commits.set(copy.commit.offset, CommitState::Retired);
      continue;
    }
    ++c->messages;
    c->bytes += copy.envelope.length + (copy.body.segment == copy.commit.segment ? copy.body.length : 0);
    c->into = copy.commit.segment;
    c->mover->moved(copy, portion.from[i]);
  }
  copying_ = false;
  for (const auto &item : portion.bad) {
    segment->spoiled = true;
    // What a disk does not give today it may give tomorrow.
    if (item.unreadable || segment->commits.state(item.at.offset) != CommitState::Live) continue;
    set_damaged_aside(*segment, item.committed());
    c->mover->damaged(item.id, item.at);
  }
  const bool fits = !portion.from.empty() || cold_->end > kFirstRecord;
  if (!portion.result) {
    log_.error("compaction failed", {{"into", cold_->header.number}, {"error", portion.result.error().text}});
    seal_cold(cold_->synced);
    compact_at_ = clock_.mono() + options_.compact_after;
    c->given_up = true;
  } else if (!portion.items.empty() && fits) {
    seal_cold(0);
    c->put_back(portion.items);
  } else if (!portion.items.empty()) {
    segment->spoiled = true;  // larger than any cold segment; its own is kept for it
  }
  copy_portion(c);
}

void StoreImpl::set_damaged_aside(Segment &segment, const Committed &message) {
  const auto first = message.body.segment == message.commit.segment
                         ? std::min(message.envelope.offset, message.body.offset)
                         : message.envelope.offset;
  report_damaged(segment, message, "records");
  set_aside("message-" + to_string(message.id), segment, first - kRecordHeader,
            message.commit.offset + message.commit.length);
}

// ---- the cold segment ----------------------------------------------------------------------------------------------

void StoreImpl::take_cold(std::shared_ptr<Compaction> c) {
  grant("compaction", 0, GrantFor::Compaction, [this, c, alive = std::weak_ptr{alive_}](Result<SegmentGrant> given) {
    if (!alive.lock() || closing_) return;
    auto *cold = given ? find(given->segment, given->epoch) : nullptr;
    auto file = cold ? file_of(*cold) : Result<std::shared_ptr<io::File>>{std::shared_ptr<io::File>{}};
    if (!cold || !file) {
      if (cold) sealed(given->segment, given->epoch, kFirstRecord);
      compact_at_ = clock_.mono() + options_.compact_after;
      c->given_up = true;
      return copy_portion(c);
    }
    cold->enumerated = true;  // nobody else writes there
    cold_ = std::make_shared<OpenSegment>();
    cold_->header = cold->header;
    cold_->header.size = cold->size;
    cold_->file = *file;
    copy_portion(c);
  });
}

// What follows the seal's page is zeros: a reader knows that nothing before it may be missing.
void StoreImpl::seal_cold(std::uint64_t bad_from) {
  const auto cold = std::exchange(cold_, nullptr);
  const auto number = cold->header.number, epoch = cold->header.epoch;
  if (bad_from != 0) return sealed(number, epoch, bad_from);
  thread_->run(
      [cold] {
        std::string page;
        append_record(page, RecordSeal{cold->header}, RecordType::Seal, 0, encode_seal(cold->end));
        page.append(kPage - page.size(), '\0');
        if (cold->end + kPage <= cold->header.size) (void)cold->file->write_at(cold->end, page);
      },
      [this, number, epoch] { sealed(number, epoch, 0); });
}

}  // namespace mansio::spool
