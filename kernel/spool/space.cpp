// Room on the disk: what is prepared ahead of need, what is kept back, and when new mail must be refused. New mail
// does not spend the reserve: it is for journal and bounces, so that a full disk still drains. (A large body grows as
// it comes, and is refused in its middle within two ticks after the reserve was reached, if the queue process is there
// to say so.)
#include <algorithm>
#include <chrono>

#include "kernel/base/give_back_memory.hpp"
#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {
namespace {

constexpr auto kTick = std::chrono::seconds{1};
constexpr std::uint64_t kSmallSegment = 4ull << 20;  // size of a segment made from the reserve: bounces are small

}  // namespace

// Half the reserve is the journal's: compaction gives space back, but later, and the journal must be able to say so.
bool StoreImpl::room_for(GrantFor use, std::uint64_t bytes) const {
  if (use == GrantFor::NewMail) return room_for(bytes);
  if (use == GrantFor::Bounces || !space_known_) return true;
  return disk_free_ >= options_.reserve_bytes / 2 + promised_ + bytes;
}

std::uint64_t StoreImpl::ordinary_size() const {
  return disk_full_ ? std::min(options_.segment_size, kSmallSegment) : options_.segment_size;
}

// What a full disk still has for the journal: the rest of the reserve, what was put aside, and the old file that the
// next one is made of.
std::uint64_t StoreImpl::journal_room() const {
  if (!disk_full_) return Journal::kPlenty;
  const auto space =
      files_.space(options_.directory);  // what the last tick saw may be used up by now, or given up since
  auto room = space ? space->free : disk_free_;
  for (const auto *name : {"reserve", "journal/spare"})
    if (const auto file = files_.open(path(name), io::OpenMode::Read))
      if (const auto size = (*file)->size()) room += *size;
  return room;
}

void StoreImpl::keep_spares() {
  if (making_spare_ || closing_ || disk_full_ || !thread_ || free_count() >= options_.spare_segments) return;
  if (!room_for(options_.segment_size)) return;
  making_spare_ = true;
  make_segment(options_.segment_size, Make::Filled, [this](Result<std::uint32_t> number) {
    making_spare_ = false;
    if (!number) return;
    check_space();  // what it took is not there for another
    keep_spares();
  });
}

void StoreImpl::keep_reserve() {
  if (!thread_ || disk_full_ || options_.journal_reserve == 0) return;
  thread_->run(
      [this] {
        const auto name = path("reserve");
        auto file = files_.open(name, io::OpenMode::Create);
        if (!file) return;
        const auto size = (*file)->size();
        if (!size || *size >= options_.journal_reserve) return;
        if (!(*file)->zero_fill(*size, options_.journal_reserve) || !(*file)->data_sync()) (void)files_.remove(name);
      },
      {});
}

// Compaction's own: a segment is made of it where another program has left no room for one. Below the reserve it is
// made anew of what compaction gave back, unless the journal lacks what is to be put aside for it.
void StoreImpl::keep_cold_file() {
  const auto size = cold_file_size();
  if (!thread_ || closing_ || size == 0 || cold_file_ != ColdFile::Missing) return;
  const auto name = path("segments/cold");
  auto lacks = size;  // one that an earlier life left needs no room
  if (const auto file = files_.open(name, io::OpenMode::Read))
    if (const auto had = (*file)->size()) lacks -= std::min(size, *had);
  const auto room = [&] {
    if (!disk_full_) return room_for(lacks);
    return disk_free_ >= promised_ + lacks && journal_room() >= options_.journal_reserve + promised_ + lacks;
  };
  if (lacks > 0 && !room()) return;
  cold_file_ = ColdFile::WithThread;
  promised_ += lacks;
  const auto made = std::make_shared<Result<void>>();
  thread_->run(
      [this, made, name, size] {
        auto &r = *made;
        const auto file = files_.open(name, io::OpenMode::Create);
        if (!file) {
          r = file.error();
          return;
        }
        const auto had = (*file)->size();
        if (!had) r = had.error();
        if (r && *had > size) r = (*file)->truncate(size);
        if (r) r = (*file)->zero_fill(std::min(*had, size), size);
        if (r) r = (*file)->data_sync();
        if (r) r = files_.sync_directory(path("segments"));
        if (!r) (void)files_.remove(name);
      },
      [this, made, lacks] {
        promised_ -= lacks;
        cold_file_ = *made ? ColdFile::Kept : ColdFile::Missing;
      });
}

void StoreImpl::check_space() {
  const auto space = files_.space(options_.directory);
  if (!space) return;
  space_known_ = true;
  disk_free_ = space->free;
  if (disk_full_) give_back();
  const bool full = space->free < options_.reserve_bytes;
  if (full == disk_full_) return;
  disk_full_ = full;
  if (full)
    log_.warn("disk reserve reached: new mail is refused until space is free",
              {{"free", disk_free_}, {"reserve", options_.reserve_bytes}});
  else
    log_.info("disk space again", {{"free", disk_free_}});
}

// Below the reserve, what was kept to be filled again is worth more as free space: an empty queue could otherwise hold
// so much of a small disk that new mail was refused for ever.
void StoreImpl::give_back() {
  if (!thread_ || closing_) return;
  for (auto &[number, segment] : segments_) {
    if (segment.phase != Phase::Free) continue;
    segment.phase = Phase::Recycling;
    thread_->run([this, name = segment_path(number)] { (void)files_.remove(name); }, [this, n = number] { forget(n); });
  }
}

void StoreImpl::tick() {
  const auto work = [this] {
    if (closing_) return;
    check_space();
    keep_spares();
    keep_cold_file();
    keep_reserve();
    give_back_thread_cache();
    if (thread_) thread_->run(give_back_old_memory, nullptr);
    tick();
  };
  if (turns_) return turns_->later(work, std::chrono::nanoseconds{kTick}.count());
  timer_.expires_after(kTick);
  timer_.async_wait([work](ErrorCode error) {
    if (!error) work();
  });
}

}  // namespace mansio::spool
