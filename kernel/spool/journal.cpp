#include "kernel/spool/journal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "kernel/base/codec.hpp"
#include "kernel/spool/random.hpp"
#include "kernel/spool/scan.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint64_t kFillStep = 1024 * 1024;  // zero-filled ahead, so that most syncs journal no metadata
constexpr std::uint64_t kTooManyFiles = 16;       // restarts without a checkpoint
constexpr std::uint64_t kShortPart = 8;           // of the usual size: when room is short, so that there is some left
constexpr std::uint64_t kShortSlack = 4 * kPage;  // a header, and the ends of batches
constexpr auto kRetry = std::chrono::milliseconds{200};
constexpr std::size_t kPacked = 32 * 1024;  // octets of entries in one record, about

bool packs(RecordType type) { return type == RecordType::Entry || type == RecordType::Snapshot; }
bool checkpoint_part(RecordType type) { return type == RecordType::Table || type == RecordType::Snapshot; }

}  // namespace

Journal::Journal(asio::io_context &loop, Logger &log, io::FileSystem &files, JournalOptions options)
    : loop_(loop), log_(log), files_(files), options_(std::move(options)) {}

Journal::~Journal() {
  if (started_) {
    {
      const std::lock_guard lock{mutex_};
      stop_ = true;
    }
    wake_.notify_one();
    if (options_.turns) {
      std::unique_lock lock{mutex_};
      if (std::exchange(writing_, false)) attempt(lock);
      lock.unlock();
      run();
    } else {
      thread_.join();
    }
  }
  *alive_ = false;
}

Result<void> Journal::start(const Replayed &replayed) {
  // Files that cannot be read today may be read tomorrow: what is written now must count as later than what they hold.
  sequence_ = std::max(replayed.last_sequence, std::uint64_t{replayed.last_file} << 32);
  since_checkpoint_ = replayed.bytes - std::min(replayed.bytes, replayed.checkpoint_bytes);
  checkpoint_bytes_ = replayed.checkpoint_bytes;
  files_since_checkpoint_ = replayed.read.size();
  synced_ = sequence_;
  number_ = replayed.last_file;
  // A process that was killed may have written entries and not synced them. We read them from the page cache and act on
  // them, so from here on they must be true whatever happens. (Written again: had their sync failed, the pages would
  // count as clean.)
  for (const auto &[number, from, to] : replayed.read) {
    auto file = files_.open(path(number), io::OpenMode::ReadWrite);
    if (!file) return file.error();
    std::string bytes(to > from ? to - from : 0, '\0');
    const auto n = (*file)->read_at(from, bytes.data(), bytes.size());
    if (n && *n == bytes.size() && *n > 0)
      if (auto r = (*file)->write_at(from, bytes); !r) return r;
    if (auto r = (*file)->data_sync(); !r) return r;
  }
  // Names may be in memory only, too: if ours outlived those of older files these would seem to have gone after a
  // checkpoint.
  if (auto r = files_.sync_directory(options_.directory); !r) return r;
  auto opened = next_file();
  if (!opened && opened.error().status == Status::Busy && replayed.damaged == 0 && replayed.checkpoint) {
    // A disk without any room: what the checkpoint replaced was to be used again, but its new name was not on the disk.
    // (Without a checkpoint the oldest file stays, though it may never have been finished: were it gone, there would
    // seem to have been one.)
    remove_before(replayed.read.front().number);
    number_ = replayed.last_file;
    opened = next_file();
  }
  if (!opened) return opened;
  started_ = true;
  if (!options_.turns) thread_ = std::thread{[this] { run(); }};
  return {};
}

std::uint64_t Journal::append(RecordType type, std::string_view payload) {
  since_checkpoint_ += kRecordHeader + round_up8(payload.size());
  enqueue(type, ++sequence_, payload);
  return sequence_;
}

void Journal::enqueue(RecordType type, std::uint64_t sequence, std::string_view payload) {
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    first = queue_.empty();
    if (first) queue_.emplace_back();
    queue_.back().items.push_back({type, sequence, std::string{payload}});
  }
  unwritten_.fetch_add(kRecordHeader + payload.size(), std::memory_order_relaxed);
  if (first) wake();
}

void Journal::hurry() {
  {
    const std::lock_guard lock{mutex_};
    hurry_ = true;
  }
  wake();
}

void Journal::begin_checkpoint(std::vector<std::string> tables) {
  checkpointing_ = true;
  since_checkpoint_ = checkpoint_bytes_ = files_since_checkpoint_ = 0;
  padding_.store(0, std::memory_order_relaxed);
  parts_ = tables.size();
  Batch batch;
  batch.new_file = true;
  for (auto &payload : tables) {
    checkpoint_bytes_ += kRecordHeader + payload.size();
    batch.items.push_back({RecordType::Table, 0, std::move(payload)});
  }
  unwritten_.fetch_add(checkpoint_bytes_, std::memory_order_relaxed);
  {
    const std::lock_guard lock{mutex_};
    queue_.push_back(std::move(batch));
  }
  wake();
}

void Journal::snapshot(std::string_view payload) {
  ++parts_;
  checkpoint_bytes_ += kRecordHeader + payload.size();
  enqueue(RecordType::Snapshot, 0, payload);
}

// The thread adds the file.
void Journal::end_checkpoint() { enqueue(RecordType::Checkpoint, ++sequence_, encode<std::uint64_t>(parts_)); }

void Journal::checkpoint_ended(bool complete) {
  asio::post(loop_, [this, alive = alive_, complete] {
    if (!*alive) return;
    checkpointing_ = false;
    if (!complete) files_since_checkpoint_ = kTooManyFiles + 1;
    if (checkpointed_) checkpointed_(complete);
  });
}

bool Journal::wants_checkpoint(std::uint64_t room) const {
  if (checkpointing_) return false;
  const auto written = since_checkpoint_ + padding_.load(std::memory_order_relaxed);
  if (room == kPlenty)
    return written > std::max(options_.rotate_bytes, checkpoint_bytes_) || files_since_checkpoint_ > kTooManyFiles;
  // It takes room before it gives any back: no more than the last one did and what was said since.
  const auto takes = checkpoint_bytes_ + since_checkpoint_ + kShortSlack;
  return written > std::max(options_.rotate_bytes / kShortPart, checkpoint_bytes_) && takes <= room;
}

Result<void> Journal::flush() {
  std::unique_lock lock{mutex_};
  if (!started_) return Error{Status::Internal, "journal not started"};
  hurry_ = true;
  last_error_.clear();
  const auto over = [this] { return (queue_.empty() && !writing_) || !last_error_.empty(); };
  if (options_.turns) {
    while (!over()) {
      lock.unlock();
      turn();
      lock.lock();
    }
  } else {
    wake_.notify_one();
    done_.wait(lock, over);
  }
  if (!last_error_.empty()) return Error{Status::Internal, last_error_};
  return {};
}

// ---- the thread ------------------------------------------------------------------------------------------------

void Journal::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (queue_.empty()) return;
    const auto due = std::chrono::steady_clock::now() + std::chrono::nanoseconds{options_.sync_interval};
    wake_.wait_until(lock, due, [this] { return stop_ || hurry_; });
    begin();
    for (bool again = true; again;) {
      const bool written = attempt(lock);
      again = !written && !stop_;
      // A full disk may have room again, a failed sync gets a new file: the outcomes are still in memory.
      if (!written) wake_.wait_for(lock, kRetry, [this] { return stop_; });
    }
    writing_ = false;
    done_.notify_all();
  }
}

// As run(), an attempt at a time.
void Journal::turn() {
  std::unique_lock lock{mutex_};
  if (!writing_ && queue_.empty()) return;
  if (!writing_) begin();
  if (attempt(lock)) writing_ = false;
  const bool failed = writing_, more = failed || !queue_.empty();
  lock.unlock();
  if (more) wake(failed ? std::chrono::nanoseconds{kRetry}.count() : 0);
}

void Journal::wake(Nanos after) {
  wake_.notify_one();
  if (!options_.turns || std::exchange(turn_due_, true)) return;
  const auto due = [this, alive = alive_] {
    if (!*alive) return;
    turn_due_ = false;
    turn();
  };
  options_.turns->later(due, after);
}

void Journal::begin() {
  batch_ = std::move(queue_.front());
  queue_.pop_front();
  if (queue_.empty()) hurry_ = false;
  writing_ = true;
}

bool Journal::attempt(std::unique_lock<std::mutex> &lock) {
  std::uint64_t last = 0;
  std::size_t size = 0;
  bool checkpoint_ends = false;
  for (const auto &item : batch_.items) {
    last = std::max(last, item.sequence);
    size += kRecordHeader + item.payload.size();
    checkpoint_ends |= item.type == RecordType::Checkpoint;
  }
  lock.unlock();
  const auto result = write(batch_);
  if (result) {
    unwritten_.fetch_sub(size, std::memory_order_relaxed);
    if (last > 0) synced_.store(last, std::memory_order_release);
    asio::post(loop_, [this, alive = alive_] {
      if (*alive && callback_) callback_(synced());
    });
    if (checkpoint_ends) {
      const auto file = std::exchange(checkpoint_file_, 0);
      if (file != 0) remove_before(file);
      checkpoint_ended(file != 0);
    }
  } else {
    report(result.error().text);
    if (result.error().status == Status::Busy) void_checkpoint();
  }
  lock.lock();
  if (!result) {
    last_error_ = result.error().text;
    done_.notify_all();
  }
  return result.ok();
}

// Its parts need more room than what they replace gives back at once, and outcomes must not wait behind them: what an
// outcome frees is what the disk lacks. So the checkpoint is tried again when there is room, and the batch without it
// now.
//
// The parts stay as empty marks, which write() passes over: entries must share records as they did when the batch was
// written first. A file whose sync failed may have only the first of these records, and replay goes by their numbers.
void Journal::void_checkpoint() {
  checkpoint_file_ = 0;
  batch_.new_file = false;
  for (auto &item : batch_.items) {
    if (!checkpoint_part(item.type)) continue;
    unwritten_.fetch_sub(item.payload.size(), std::memory_order_relaxed);
    std::string{}.swap(item.payload);
  }
}

Result<void> Journal::write(Batch &batch) {
  if (batch.new_file || !file_) {
    if (auto r = next_file(); !r) return r;
    checkpoint_file_ = std::exchange(batch.new_file, false) ? number_ : 0;
  }
  const RecordSeal seal{header_};
  std::string bytes;
  std::string packed;
  std::uint64_t counted = 0;  // of it, when it was appended
  for (auto item = batch.items.begin(); item != batch.items.end(); ++item) {
    if (checkpoint_part(item->type) && checkpoint_file_ == 0) continue;  // of one that is void
    counted += kRecordHeader + item->payload.size();
    if (item->type == RecordType::Checkpoint) {
      if (checkpoint_file_ != 0)
        append_record(bytes, seal, item->type, item->sequence,
                      encode(CheckpointEnd{checkpoint_file_, *decode<std::uint64_t>(item->payload)}));
    } else if (!packs(item->type)) {
      append_record(bytes, seal, item->type, item->sequence, item->payload);
    } else {
      packed.clear();
      Encoder{packed}.put(item->payload);
      for (auto next = item + 1; next != batch.items.end() && next->type == item->type && packed.size() < kPacked;
           ++next) {
        counted += kRecordHeader + next->payload.size();
        Encoder{packed}.put(next->payload);
        item = next;
      }
      append_record(bytes, seal, item->type, item->sequence, packed);
    }
  }
  // A seal record carries the watermark that tells damage from an unfinished tail.
  append_record(bytes, seal, RecordType::Seal, 0, encode_seal(end_));
  bytes.append(round_up(bytes.size(), kPage) - bytes.size(), '\0');

  if (end_ + bytes.size() > filled_) {
    const auto to = round_up(end_ + bytes.size(), kPage) + std::min(kFillStep, round_up(options_.rotate_bytes, kPage));
    auto filled = file_->zero_fill(filled_, to);
    if (!filled && filled.error().status == Status::Busy && give_up_reserve()) filled = file_->zero_fill(filled_, to);
    if (filled) filled_ = to;  // otherwise the records themselves may still fit
  }
  auto result = file_->write_at(end_, bytes);
  if (!result && result.error().status == Status::Busy) {
    give_up_reserve();
    return result;  // nothing was promised of these pages yet: they are written again
  }
  if (result) result = file_->data_sync();
  if (!result) {
    file_.reset();  // after a failed sync nobody knows what of it is on the disk
    return result;
  }
  end_ += bytes.size();
  filled_ = std::max(filled_, end_);
  if (bytes.size() > counted) padding_.fetch_add(bytes.size() - counted, std::memory_order_relaxed);
  return {};
}

// What is put aside is given up one by one, the old file that is kept for its blocks first: it counts as room for the
// next checkpoint, and would be of no use if the file that is written could not come so far.
bool Journal::give_up_reserve() {
  if (files_.remove(spare())) return true;
  if (!files_.remove(options_.reserve)) return false;
  report("disk full: the journal takes its reserve");
  return true;
}

Result<void> Journal::next_file() {
  auto opened = open_file(number_ + 1);
  if (!opened && opened.error().status == Status::Busy && give_up_reserve()) opened = open_file(number_);
  if (!opened) (void)files_.remove(path(number_));
  return opened;
}

Result<void> Journal::open_file(std::uint32_t number) {
  file_.reset();
  number_ = number;
  (void)files_.rename(spare(), path(number));  // no spare is no trouble
  auto file = files_.open(path(number), io::OpenMode::Create);
  if (!file) return file.error();
  auto size = (*file)->size();
  if (!size) return size.error();
  header_ = {};
  header_.kind = FileKind::Journal;
  header_.node = options_.node;
  header_.number = number;
  header_.epoch = number;
  header_.salt = random_salt();
  header_.size = *size;
  if (auto r = (*file)->write_at(0, encode_header(header_)); !r) return r;
  if (auto r = (*file)->data_sync(); !r) return r;
  if (auto r = files_.sync_directory(options_.directory); !r) return r;
  file_ = std::move(*file);
  end_ = kFirstRecord;
  filled_ = std::max(*size, kPage) / kPage * kPage;
  return {};
}

// The checkpoint is synced: what it replaces may go. The newest of the old files is kept to be used again.
void Journal::remove_before(std::uint32_t number) {
  const auto names = files_.list(options_.directory);
  if (!names) return;
  bool kept = false;
  for (auto i = names->rbegin(); i != names->rend(); ++i) {
    const auto old = parse_file_name(*i);
    if (!old || *old >= number) continue;
    const auto name = options_.directory + "/" + *i;
    if (!kept && files_.rename(name, spare()))
      kept = true;
    else
      (void)files_.remove(name);
  }
}

void Journal::report(std::string text) {
  asio::post(loop_, [this, alive = alive_, text = std::move(text)] {
    if (*alive) log_.error("journal", {{"error", text}});
  });
}

}  // namespace mansio::spool
