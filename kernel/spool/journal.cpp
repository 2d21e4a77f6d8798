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
constexpr auto kRetry = std::chrono::milliseconds{200};

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
      // Never finished, or a spare being renamed: its header is synced before its first record.
      if (!header && header.error().status == Status::Fail) ++out.damaged;
      continue;
    }
    Opened o{std::move(*file), *header, false};
    FileBytes bytes{*o.file};
    std::uint64_t parts = 0;
    const auto scan = scan_records(bytes, o.header, kFirstRecord, [&](const Record &r) {
      // Writes are not ordered before their sync: the last record may be there and others not.
      if (r.header.type == RecordType::Snapshot || r.header.type == RecordType::Table) ++parts;
      if (r.header.type == RecordType::Checkpoint) o.checkpoint = decode<std::uint64_t>(payload_of(bytes, r)) == parts;
    });
    for (const auto &gap : scan.gaps) out.damaged += gap.damage;
    opened.push_back(std::move(o));
    if (opened.back().checkpoint) first = opened.size() - 1;
  }
  for (std::size_t i = first; i < opened.size(); ++i) {
    auto &o = opened[i];
    ++out.files;
    FileBytes bytes{*o.file};
    const bool snapshot = i == first;
    const auto scan = scan_records(bytes, o.header, kFirstRecord, [&](const Record &r) {
      switch (r.header.type) {
        case RecordType::Snapshot:
        case RecordType::Table:
          // Of a checkpoint that was cut short nothing is used: what it replaces is still there. (If it is not,
          // this is the first file and damaged; then a part is better than nothing.)
          if (snapshot) each(r.header.type, payload_of(bytes, r));
          return;
        case RecordType::Entry:
        case RecordType::Active:
        case RecordType::Clean:
        case RecordType::Checkpoint:
          if (r.header.id <= out.last_sequence) return;
          out.last_sequence = r.header.id;
          out.clean = r.header.type == RecordType::Clean;
          if (r.header.type == RecordType::Active) out.active = payload_of(bytes, r) != std::string(1, '\0');
          if (r.header.type == RecordType::Entry) each(RecordType::Entry, payload_of(bytes, r));
          return;
        default:
          return;
      }
    });
    out.bytes += scan.end;
  }
  return out;
}

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
  sequence_ = replayed.last_sequence;
  since_checkpoint_ = replayed.bytes;
  files_since_checkpoint_ = replayed.files;
  synced_ = sequence_;
  number_ = replayed.last_file;
  if (auto r = open_file(number_ + 1); !r) return r;
  started_ = true;
  if (!options_.turns) thread_ = std::thread{[this] { run(); }};
  return {};
}

std::uint64_t Journal::append(RecordType type, std::string_view payload) {
  const auto sequence = ++sequence_;
  since_checkpoint_ += kRecordHeader + round_up8(payload.size());
  bool first = false;
  {
    const std::lock_guard lock{mutex_};
    first = queue_.empty();
    if (first) queue_.emplace_back();
    queue_.back().items.push_back({type, sequence, std::string{payload}});
  }
  if (first) wake();
  return sequence;
}

void Journal::hurry() {
  {
    const std::lock_guard lock{mutex_};
    hurry_ = true;
  }
  wake();
}

void Journal::checkpoint(std::vector<std::pair<RecordType, std::string>> records) {
  Batch batch;
  batch.new_file = true;
  checkpoint_bytes_ = 0;
  for (auto &[type, payload] : records) {
    checkpoint_bytes_ += kRecordHeader + payload.size();
    batch.items.push_back({type, 0, std::move(payload)});
  }
  batch.items.push_back({RecordType::Checkpoint, ++sequence_, encode<std::uint64_t>(batch.items.size())});
  since_checkpoint_ = 0;
  files_since_checkpoint_ = 0;
  {
    const std::lock_guard lock{mutex_};
    queue_.push_back(std::move(batch));
    hurry_ = true;
  }
  wake();
}

bool Journal::wants_checkpoint() const {
  return since_checkpoint_ > std::max(options_.rotate_bytes, checkpoint_bytes_) ||
         files_since_checkpoint_ > kTooManyFiles;
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
  for (const auto &item : batch_.items) last = std::max(last, item.sequence);
  lock.unlock();
  const auto result = write(batch_);
  if (result) {
    synced_.store(last, std::memory_order_release);
    asio::post(loop_, [this, alive = alive_, last] {
      if (*alive && callback_) callback_(last);
    });
    if (batch_.new_file) remove_before(number_);
  } else {
    report(result.error().text);
  }
  lock.lock();
  if (!result) {
    last_error_ = result.error().text;
    done_.notify_all();
  }
  return result.ok();
}

Result<void> Journal::write(const Batch &batch) {
  if (batch.new_file || !file_) {
    if (auto r = open_file(number_ + 1); !r) {
      (void)files_.remove(path(number_));
      if (r.error().status == Status::Busy) give_up_reserve();
      return r;
    }
  }
  const RecordSeal seal{header_};
  std::string bytes;
  for (const auto &item : batch.items) append_record(bytes, seal, item.type, item.sequence, item.payload);
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
  return {};
}

bool Journal::give_up_reserve() {
  if (!files_.remove(options_.reserve)) return false;
  report("disk full: the journal takes its reserve");
  return true;
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
