// Opening, reading, admitting, retiring, the checkpoint.
#include "kernel/spool/store.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {

Result<std::unique_ptr<Store>> Store::open(asio::io_context &loop, const Clock &clock, Logger &log,
                                           io::FileSystem &files, StoreOptions options) {
  auto store = std::make_unique<StoreImpl>(loop, clock, log, files, std::move(options));
  if (auto r = store->prepare(); !r) return r.error();
  return std::unique_ptr<Store>{std::move(store)};
}

StoreImpl::StoreImpl(asio::io_context &loop, const Clock &clock, Logger &log, io::FileSystem &files,
                     StoreOptions options, Turns *turns)
    : loop_(loop),
      log_(log),
      files_(files),
      options_(std::move(options)),
      turns_(turns),
      journal_(loop, log, files,
               {options_.directory + "/journal", options_.directory + "/reserve", options_.journal_reserve,
                options_.node, options_.journal_sync_interval, options_.journal_rotate_bytes, turns}),
      clock_(clock),
      timer_(loop),
      held_timer_(loop) {
  journal_.on_synced([this](std::uint64_t sequence) { journal_synced(sequence); });
  journal_.on_checkpoint([this](bool complete) { checkpointed(complete); });
}

StoreImpl::~StoreImpl() {
  closing_ = true;
  timer_.cancel();
  held_timer_.cancel();
  thread_.reset();
}

Result<void> StoreImpl::prepare() {
  for (const auto *name : {"", "/segments", "/journal", "/corrupt"}) {
    if (auto r = files_.make_directory(options_.directory + name); !r) return r;
  }
  auto lock = files_.lock(path("lock"), fmt::format("pid {}\n", ::getpid()));
  if (!lock) {
    if (lock.error().status != Status::Busy) return lock.error();
    auto holder = lock.error().text;
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    return Error{Status::Busy, fmt::format("{}: the spool is in use by {}", options_.directory,
                                           holder.empty() ? "another process" : holder)};
  }
  lock_ = std::move(*lock);
  if (files_.copies_on_write(options_.directory)) {
    log_.warn(
        "spool on a copy-on-write file system: preallocation is in vain and each sync writes metadata; "
        "use ext4 or xfs, or turn copying off for the directory (chattr +C)",
        {{"spool", options_.directory}});
  }
  return files_.sync_directory(options_.directory);
}

StoreImpl::Segment *StoreImpl::find(std::uint32_t number, std::uint32_t epoch) {
  const auto i = segments_.find(number);
  if (i == segments_.end() || epoch == 0 || i->second.header.epoch != epoch) return nullptr;
  const auto phase = i->second.phase;
  return phase == Phase::Free || phase == Phase::Granting || phase == Phase::Recycling ? nullptr : &i->second;
}

Result<std::shared_ptr<io::File>> StoreImpl::file_of(Segment &segment) {
  if (!segment.file) {
    auto file = files_.open(segment_path(segment.header.number), io::OpenMode::ReadWrite);
    if (!file) return file.error();
    segment.file = std::move(*file);
  }
  return segment.file;
}

// ---- admission and retirement ----------------------------------------------------------------------------

// A commit becomes known, and with it that its body is needed. False if it was known.
bool StoreImpl::learn(Segment &segment, const Committed &message) {
  if (segment.commits.known(message.commit.offset)) return false;
  segment.commits.set(message.commit.offset, CommitState::Seen);
  if (message.body.segment != message.commit.segment) {
    segment.elsewhere[message.commit.offset] = message.body;
    if (auto *large = find(message.body)) {
      large->cited = true;
      ++large->bodies;
    }
  }
  return true;
}

bool StoreImpl::admit(const Committed &message) {
  auto *segment = find(message.commit);
  if (!segment) return false;  // recycled: so it was admitted, and is done
  learn(*segment, message);
  if (segment->commits.state(message.commit.offset) != CommitState::Seen) return false;
  segment->commits.set(message.commit.offset, CommitState::Live);
  return true;
}

void StoreImpl::retire(const Place &commit, std::uint64_t sequence) {
  auto *segment = find(commit);
  if (!segment || !segment->commits.known(commit.offset)) return;
  if (segment->commits.state(commit.offset) != CommitState::Live) return;
  segment->commits.set(commit.offset, CommitState::Retiring);
  const Waiting waiting{commit.segment, commit.epoch, commit.offset};
  // No entry says so. If the journal cannot be read, that may be for want of one: another place may be done by what it
  // says, and by what the next start reads of it this one be the last.
  if (sequence == 0 && journal_damaged_) return until_checkpoint_.push_back(waiting);
  if (sequence <= journal_.synced()) return retired(waiting);
  retiring_.emplace(sequence, waiting);
}

// What waited for it when it began stands in its tables: from here on these count, and none before them.
void StoreImpl::checkpointed(bool complete) {
  auto waiting = std::exchange(in_checkpoint_, {});
  if (!complete) {
    until_checkpoint_.insert(until_checkpoint_.end(), waiting.begin(), waiting.end());
    return;
  }
  journal_damaged_ = false;
  for (const auto &message : waiting) retired(message);
}

void StoreImpl::retired(const Waiting &message) {
  auto *segment = find(message.segment, message.epoch);
  if (!segment) return;
  segment->commits.set(message.offset, CommitState::Retired);
  if (const auto body = segment->elsewhere.find(message.offset); body != segment->elsewhere.end()) {
    if (auto *large = find(body->second); large && large->bodies > 0) {
      --large->bodies;
      consider(*large);
    }
    segment->elsewhere.erase(body);
  }
  consider(*segment);
}

void StoreImpl::journal_synced(std::uint64_t sequence) {
  while (!retiring_.empty() && retiring_.begin()->first <= sequence) {
    const auto waiting = retiring_.begin()->second;
    retiring_.erase(retiring_.begin());
    retired(waiting);
  }
  for (const auto &callback : synced_callbacks_) callback(sequence);
}

// ---- reading -----------------------------------------------------------------------------------------------

Result<std::string> StoreImpl::read_record(const Place &place, RecordType type, MessageId id) {
  auto *segment = find(place);
  if (!segment) return Error{Status::NotFound, "the segment was recycled"};
  auto file = file_of(*segment);
  if (!file) return file.error();
  if (place.offset < kFirstRecord + kRecordHeader || place.length > segment->size)
    return Error{Status::Fail, "no such place in the spool"};
  std::string bytes(kRecordHeader + place.length, '\0');
  auto n = (*file)->read_at(place.offset - kRecordHeader, bytes.data(), bytes.size());
  if (!n) return n.error();
  bytes.resize(*n);
  MemoryBytes memory{bytes};
  const auto record = record_at(memory, RecordSeal{segment->header}, 0);
  if (!record || record->header.type != type || record->header.id != id.value ||
      record->header.length != place.length) {
    return Error{Status::Fail,
                 fmt::format("damaged record in segment {} at {}", file_name(place.segment), place.offset)};
  }
  return bytes.substr(kRecordHeader);
}

// Fills in the place's length.
Result<CommitPayload> StoreImpl::read_commit_payload(MessageId id, Place &commit) {
  constexpr std::size_t kMost = 512;  // more than any COMMIT record takes
  auto *segment = find(commit);
  if (!segment) return Error{Status::NotFound, "the segment was recycled"};
  auto file = file_of(*segment);
  if (!file) return file.error();
  std::string bytes(kMost, '\0');
  auto n = (*file)->read_at(commit.offset - kRecordHeader, bytes.data(), bytes.size());
  if (!n) return n.error();
  bytes.resize(*n);
  MemoryBytes memory{bytes};
  const auto record = record_at(memory, RecordSeal{segment->header}, 0);
  commit.length = record ? record->header.length : 0;
  const auto said = record && record->header.type == RecordType::Commit && record->header.id == id.value
                        ? parse_commit(payload_of(memory, *record), commit)
                        : std::nullopt;
  if (!said)
    return Error{Status::Fail,
                 fmt::format("damaged record in segment {} at {}", file_name(commit.segment), commit.offset)};
  return *said;
}

Result<Committed> StoreImpl::read_commit(MessageId id, const Place &commit) {
  auto at = commit;
  const auto said = read_commit_payload(id, at);
  if (!said) return said.error();
  return Committed{id, at, said->envelope, said->body};
}

std::uint32_t StoreImpl::moves(MessageId id, const Place &commit) {
  auto at = commit;
  const auto said = read_commit_payload(id, at);
  return said ? said->moves : UINT32_MAX;
}

Result<Envelope> StoreImpl::read_envelope(const Committed &message) {
  auto bytes = read_record(message.envelope, RecordType::Envelope, message.id);
  if (!bytes) return bytes.error();
  return decode_envelope(*bytes);
}

Result<void> StoreImpl::verify_body(const Committed &message) {
  const auto bytes = read_record(message.body, RecordType::Body, message.id);
  return bytes ? Result<void>{} : Result<void>{bytes.error()};
}

void StoreImpl::verify_body(const Committed &message, std::function<void(Result<void>)> done) {
  auto *segment = find(message.body);
  auto file = segment ? file_of(*segment) : Result<std::shared_ptr<io::File>>{std::shared_ptr<io::File>{}};
  if (!segment || !file || !thread_) {
    const auto error = file ? Error{Status::NotFound, "the segment was recycled"} : file.error();
    return asio::post(loop_, [error, done = std::move(done)] { done(error); });
  }
  const auto result = std::make_shared<Result<void>>();
  pin(message.body);
  thread_->run(
      [result, message, file = *file, header = segment->header] {
        FileBytes bytes{*file};
        const bool alone = message.body.segment != message.commit.segment || message.body.epoch != message.commit.epoch;
        const auto record =
            record_at(bytes, RecordSeal{header}, alone ? kFirstRecord : message.body.offset - kRecordHeader);
        if (!record || record->header.type != RecordType::Body || record->header.id != message.id.value ||
            record->payload != message.body.offset || record->header.length != message.body.length)
          *result = Error{Status::Fail, fmt::format("damaged record in segment {} at {}",
                                                    file_name(message.body.segment), message.body.offset)};
      },
      [this, result, message, done = std::move(done)] {
        if (!closing_) done(*result);
        unpin(message.body);
      });
}

Result<std::string> StoreImpl::read(const Place &place, std::uint64_t offset, std::uint64_t length) {
  auto *segment = find(place);
  if (!segment) return Error{Status::NotFound, "the segment was recycled"};
  if (offset > place.length) return std::string{};
  length = std::min(length, place.length - offset);
  auto file = file_of(*segment);
  if (!file) return file.error();
  std::string bytes(length, '\0');
  auto n = (*file)->read_at(place.offset + offset, bytes.data(), bytes.size());
  if (!n) return n.error();
  if (*n < length) return Error{Status::Fail, fmt::format("segment {} is too short", file_name(place.segment))};
  return bytes;
}

Result<io::UniqueFd> StoreImpl::open_for_reading(std::uint32_t number, std::uint32_t epoch) {
  auto *segment = find(number, epoch);
  if (!segment) return Error{Status::NotFound, "the segment was recycled"};
  auto file = file_of(*segment);
  if (!file) return file.error();
  return (*file)->duplicate(true);
}

void StoreImpl::pin(const Place &place) {
  if (auto *segment = find(place)) ++segment->pins;
}

void StoreImpl::unpin(const Place &place) {
  auto *segment = find(place);
  if (!segment || segment->pins == 0) return;
  if (--segment->pins == 0) consider(*segment);
}

// ---- journal -----------------------------------------------------------------------------------------------

std::uint64_t StoreImpl::journal(std::string_view bytes) { return journal_.append(RecordType::Entry, bytes); }

// What is being retired counts as done here: its entry stands before the checkpoint in the journal.
void StoreImpl::begin_checkpoint() {
  std::vector<std::string> tables;
  for (const auto &[number, segment] : segments_) {
    if (segment.header.epoch == 0 || (segment.commits.size() == 0 && segment.bad_from == 0)) continue;
    if (segment.phase == Phase::Free || segment.phase == Phase::Granting) continue;
    tables.push_back(encode(TableEntry{number, segment.header.epoch, segment.bad_from,
                                       segment.commits.count(CommitState::Live), segment.commits.encode_done()}));
  }
  for (const auto &[number, entry] : unreadable_)
    if (entry.epoch != 0) tables.push_back(encode(entry));
  in_checkpoint_ = std::exchange(until_checkpoint_, {});
  journal_.begin_checkpoint(std::move(tables));
}

std::uint64_t StoreImpl::mark_active(bool any) {
  const auto sequence = journal_.append(RecordType::Active, std::string(1, any ? '\1' : '\0'));
  if (any) journal_.hurry();
  return sequence;
}

Usage StoreImpl::usage() const {
  Usage usage;
  usage.segments = segments_.size();
  usage.free_segments = free_count();
  for (const auto &[number, segment] : segments_) usage.bytes += segment.size;
  usage.disk_free = disk_free_;
  usage.compacted_segments = compacted_segments_;
  usage.compacted_messages = compacted_messages_;
  return usage;
}

Result<void> StoreImpl::close_clean() {
  closing_ = true;
  timer_.cancel();
  held_timer_.cancel();
  thread_.reset();
  // By itself: of a batch that is cut short its end may be there without the rest.
  if (auto r = journal_.flush(); !r || finding_) return r;
  journal_.append(RecordType::Clean, {});
  return journal_.flush();
}

}  // namespace mansio::spool
