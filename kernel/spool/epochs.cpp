#include "kernel/spool/epochs.hpp"

#include <vector>

#include "kernel/base/codec.hpp"
#include "kernel/base/crc32c.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint32_t kBlock = 64;
constexpr std::uint32_t kLost = 1u << 16;  // skipped when the file is unreadable: more than could be out
constexpr std::string_view kEpochsMagic = "MANSIOEP";

struct Slot {
  std::uint64_t writes = 0;
  std::uint32_t limit = 0;
};

// Two slots, a page each, written in turn: one of them always survives.
std::string encode_slot(const Slot &slot) {
  std::string out{kEpochsMagic};
  Encoder e{out};
  e(slot.writes, slot.limit);
  e(crc32c(out));
  out.append(kPage - out.size(), '\0');
  return out;
}

bool parse_slot(std::string_view bytes, Slot &slot) {
  Decoder d{bytes};
  const auto magic = d.raw(kEpochsMagic.size());
  std::uint32_t crc = 0;
  d(slot.writes, slot.limit, crc);
  return d.ok() && magic == kEpochsMagic && crc == crc32c(bytes.substr(0, kEpochsMagic.size() + 12));
}

}  // namespace

Result<void> Epochs::open(io::FileSystem &files, const std::string &directory, std::uint32_t seen) {
  auto file = files.open(directory + "/epoch", io::OpenMode::Create);
  if (!file) return file.error();
  file_ = std::move(*file);
  const auto size = file_->size();
  if (!size) return size.error();
  // Room for both slots from the beginning: a start on a full disk must find it.
  if (*size < 2 * kPage) {
    if (auto r = file_->zero_fill(*size, 2 * kPage); !r) return r;
  }
  std::string page(kPage, '\0');
  int found = 0;
  bool blank = true;  // what holds no slot holds nothing
  std::vector<Error> unreadable;
  for (std::uint64_t i = 0; i < 2; ++i) {
    Slot slot;
    const auto n = file_->read_at(i * kPage, page.data(), page.size());
    if (!n) unreadable.push_back(n.error());
    const auto bytes = std::string_view{page}.substr(0, n ? *n : 0);
    if (!n || !parse_slot(bytes, slot)) {
      blank = blank && n && bytes.find_first_not_of('\0') == std::string_view::npos;
      continue;
    }
    ++found;
    writes_ = std::max(writes_, slot.writes);
    next_ = std::max(next_, slot.limit);
  }
  // What a disk does not give today it may give tomorrow. A disk that gives nothing shows no epoch in its segments
  // either, so what is out is not known at all, and to begin anew would give epochs, and with them ids, twice.
  if (unreadable.size() == 2)
    return Error{Status::Internal, unreadable.front().text + ": without the counter of epochs no mail can be accepted"};
  // The slot that is gone may have been the newer one, and epochs below its limit may be out. (Beside the first slot
  // there is nothing until the second is written.)
  const bool lost = found == 0 ? *size > 0 || seen > 0 : found == 1 && (writes_ > 1 || !blank);
  next_ = std::max(next_, seen + 1);
  if (lost) next_ += kLost;
  limit_ = next_;
  if (auto r = reserve(); !r) return r;
  // Both slots: the one just written may be lost next, and the other must not lead back then.
  if (lost)
    if (auto r = reserve(); !r) return r;
  return files.sync_directory(directory);
}

Result<void> Epochs::reserve() {
  if (limit_ > UINT32_MAX - kBlock - kLost) return Error{Status::Internal, "the spool's epochs are used up"};
  const Slot slot{writes_ + 1, limit_ + kBlock};
  if (auto r = file_->write_at((slot.writes & 1) * kPage, encode_slot(slot)); !r) return r;
  if (auto r = file_->data_sync(); !r) return r;
  writes_ = slot.writes;
  limit_ = slot.limit;
  return {};
}

Result<std::uint32_t> Epochs::next() {
  if (next_ >= limit_) {
    if (auto r = reserve(); !r) return r.error();
  }
  return next_++;
}

}  // namespace mansio::spool
