// What a start finds: the journal first, then every segment, read by the thread while mail comes in already. Nothing is
// trusted that does not verify, and what was on stable storage once and does not verify any more is set aside with its
// bytes.
#include <fmt/format.h>

#include <algorithm>

#include "kernel/base/give_back_memory.hpp"
#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {
namespace {

constexpr std::size_t kSearches = 2;  // one segment is read while another's messages are taken in

}  // namespace

Result<void> StoreImpl::recover(const std::function<void(std::string_view)> &entry) {
  finding_ = std::make_unique<Finding>();
  auto &[out, of_journal, table, order, next, left, committed, done] = *finding_;
  std::vector<GivenUpEntry> given_up;
  auto replayed = replay_journal(files_, path("journal"), [&](RecordType type, std::string_view bytes) {
    if (type == RecordType::Entry || type == RecordType::Snapshot) return entry(bytes);
    if (type == RecordType::GivenUp) {
      if (auto g = decode<GivenUpEntry>(bytes)) given_up.push_back(*g);
      return;
    }
    if (auto t = decode<TableEntry>(bytes))
      table[t->segment] = std::move(*t);
    else
      ++out.corrupt_records;
  });
  if (!replayed) return replayed.error();
  // The mark may be among what is damaged, and so may all that was said after an orderly stop.
  out.clean_stop = replayed->clean && replayed->damaged == 0;
  was_active_ = replayed->damaged > 0 || (!replayed->clean && replayed->active && replayed->last_sequence > 0);
  if (replayed->damaged > 0) {
    journal_damaged_ = true;
    log_.error("journal damaged: outcomes may be lost, so mail may be delivered again",
               {{"places", replayed->damaged}});
    out.corrupt_records += replayed->damaged;
    of_journal = replayed->damaged;
  }

  if (auto r = load_segments(table, out); !r) return r;
  for (auto &[number, entry_] : table) {
    const auto i = segments_.find(number);
    if (i == segments_.end()) continue;
    auto &[_, segment] = *i;
    // What is given up as a whole includes every filling before that (load_segment() has a use for it).
    const bool meant = segment.header.epoch == entry_.epoch ||
                       (segment.header.epoch < entry_.epoch && entry_.bad_from == kFirstRecord);
    if (!meant || segment.header.epoch == 0) continue;
    segment.bad_from = entry_.bad_from;
    if (!segment.commits.decode_done(entry_.done)) ++out.corrupt_records;
  }
  for (const auto &g : given_up)
    if (auto *segment = find(g.segment, g.epoch))
      segment->bad_from = g.bad_from;
    else if (const auto u = unreadable_.find(g.segment); u != unreadable_.end() && u->second.epoch == g.epoch)
      u->second.bad_from = g.bad_from;
  std::uint32_t newest = 0;
  for (auto &[number, segment] : segments_) {
    newest = std::max(newest, segment.header.epoch);
    if (segment.phase != Phase::Sealed) continue;
    order.push_back(number);
    segment.unread = true;
  }
  for (const auto &[number, entry_] : table) newest = std::max(newest, entry_.epoch);
  std::sort(order.begin(), order.end(),
            [&](auto a, auto b) { return segments_.at(a).header.epoch < segments_.at(b).header.epoch; });

  if (auto r = epochs_.open(files_, options_.directory, newest); !r) return r.error();
  first_epoch_ = epochs_.coming();
  // What was free once holds nothing of what was granted before, though its header may come to say again that it does.
  for (auto &[number, entry_] : unreadable_)
    if (entry_.bad_from == kFirstRecord && entry_.epoch == 0) entry_.epoch = first_epoch_ - 1;
  if (auto r = journal_.start(*replayed); !r) return r.error();
  start_threads();
  return {};
}

void StoreImpl::find_mail(OnCommit committed, std::function<void(const Recovered &)> done) {
  auto &finding = *finding_;
  finding.committed = [this, committed = std::move(committed)](const Committed &message, Envelope &&envelope) {
    ++finding_->out.messages;
    committed(message, std::move(envelope));
  };
  finding.done = std::move(done);
  finding.left = finding.order.size();
  for (std::size_t i = 0; i < kSearches; ++i) search_next();
  if (finding.order.empty())
    asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {
      if (alive.lock() && !closing_) all_found();
    });
}

void StoreImpl::search_next() {
  auto &finding = *finding_;
  if (finding.next == finding.order.size()) return;
  const auto number = finding.order[finding.next++];
  search(number, segments_.at(number).header.epoch, Look::First, finding.committed,
         [this, number](const Result<void> &result) {
           if (!result)
             log_.error("segment not wholly readable", {{"segment", number}, {"error", result.error().text}});
           search_next();
           if (--finding_->left == 0) all_found();
         });
}

void StoreImpl::all_found() {
  auto finding = std::exchange(finding_, nullptr);
  account_for(finding->table);
  damaged_ |= finding->out.corrupt_records > finding->of_journal;
  bool settled = true;
  for (const auto number : finding->order) {
    auto &segment = segments_.at(number);
    segment.unread = false;
    settled = settled && segment.enumerated;
  }
  // Else somebody may have written a COMMIT where it was looked for before that: look_again().
  if (settled) give_up_bodies();
  for (const auto number : finding->order) consider(segments_.at(number));
  finding->done(finding->out);
  finding.reset();
  // Once our callers have freed theirs as well: all that was needed to find mail, about half of what is allocated.
  asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {
    if (alive.lock() && thread_) thread_->run(give_back_memory, nullptr);
  });
}

void StoreImpl::look_again(const Named &named, OnCommit committed, std::function<void()> done) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> open;
  for (const auto &[number, segment] : segments_) {
    const auto epoch = segment.header.epoch;
    if (epoch >= first_epoch_ || segment.enumerated || named.contains({number, epoch})) continue;
    if (segment.phase == Phase::Sealed || segment.phase == Phase::Examining) open.emplace_back(number, epoch);
  }
  const auto one = [this, left = std::make_shared<std::size_t>(open.size() + 1), done = std::move(done)] {
    if (--*left > 0) return;
    give_up_bodies();
    done();
  };
  for (const auto &[number, epoch] : open)
    search(number, epoch, Look::Again, committed, [this, number, epoch, one](const Result<void> &result) {
      if (!result)
        log_.error("segment not wholly readable", {{"segment", number}, {"error", result.error().text}});
      else if (auto *segment = find(number, epoch))
        segment->enumerated = true;
      one();
    });
  one();
}

bool StoreImpl::all_readable() const {
  const auto broken = [](const auto &s) { return s.second.phase == Phase::Broken; };
  return unreadable_.empty() && std::none_of(segments_.begin(), segments_.end(), broken);
}

bool StoreImpl::damaged() {
  if (damaged_ || journal_damaged_ || !all_readable()) return true;
  const auto aside = files_.list(path("corrupt"));
  return !aside || !aside->empty();
}

// Large bodies of earlier lives that no commit cites: nobody who could still commit them is left.
void StoreImpl::give_up_bodies() {
  if (!all_readable()) return;  // what a disk does not give today may cite them
  for (auto &[number, segment] : segments_) {
    const bool large = segment.large || segment.header.kind == FileKind::LargeBody;
    if (!large || !segment.enumerated || segment.cited || segment.commits.size() > 0) continue;
    if (segment.phase != Phase::Sealed || segment.header.epoch >= first_epoch_) continue;
    // Or the COMMIT is among what is damaged, and then this is all there is of the message.
    if (segment.large && damaged_)
      set_aside(fmt::format("segment-{}-{}-body", file_name(number), segment.header.epoch), segment, kFirstRecord,
                segment.size);
    if (segment.phase == Phase::Sealed) segment.bad_from = kFirstRecord;
    consider(segment);
  }
}

Result<void> StoreImpl::load_segments(const Table &table, Recovered &out) {
  auto names = files_.list(path("segments"));
  if (!names) return names.error();
  // A segment made by a process that was killed may have a name in memory only, and is about to be given out.
  if (auto r = files_.sync_directory(path("segments")); !r) return r;
  // What an earlier start set aside and was killed before it had synced that must not be taken for safe.
  if (auto r = files_.sync_directory(path("corrupt")); !r) return r;
  std::vector<Opened> opened;
  for (const auto &name : *names) {
    const auto number = parse_file_name(name);
    if (!number) continue;
    auto file = files_.open(segment_path(*number), io::OpenMode::ReadWrite);
    if (!file) return file.error();
    std::string page;
    auto header = read_file_header(**file, page);
    // Before anything is changed.
    if (!header && header.error().status == Status::Unsupported)
      return Error{Status::Unsupported, fmt::format("{}: {}", segment_path(*number), header.error().text)};
    opened.push_back({*number, std::move(*file), std::move(header), page.size()});
  }
  for (auto &segment : opened) {
    next_number_ = std::max(next_number_, segment.number + 1);
    const auto entry = table.find(segment.number);
    if (auto r = load_segment(segment, entry == table.end() ? nullptr : &entry->second, out); !r) return r;
  }
  return {};
}

// `entry`: the checkpoint speaks of it, so it was given out once.
Result<void> StoreImpl::load_segment(Opened &opened, const TableEntry *entry, Recovered &out) {
  auto &[number, file, header, read] = opened;
  const auto name = segment_path(number);
  auto size = file->size();
  if (!size) return size.error();
  const bool free = header && header->epoch == 0;
  bool unused = free && *size != options_.segment_size;  // another size is wanted now
  if (!header && header.error().status == Status::NotFound && !entry) {
    // Its making was not finished, unless its first page is damage: a page of zeros takes both copies of the header.
    FileBytes bytes{*file};
    unused = all_zero(bytes, read);
  }
  if (free) {
    // It may say so in the page cache only: what was done in it is known to nobody once its journal is gone. Written
    // again, as after an error of sync its page counts as clean.
    auto r = file->write_at(0, encode_header(*header));
    if (r) r = file->data_sync();
    if (!r) {
      log_.error("free segment cannot be synced: not used", {{"segment", number}, {"error", r.error().text}});
      unreadable_[number] = {number, 0, kFirstRecord, 0, {}};
      return {};
    }
  }
  if (unused) {
    (void)files_.remove(name);
    return {};
  }
  if (!header && header.error().status == Status::Internal) {
    // What a disk does not give today it may give tomorrow, and what was done in it must be known then.
    ++out.corrupt_records;
    log_.error("segment header unreadable: kept", {{"segment", number}});
    unreadable_[number] = entry ? *entry : TableEntry{};
    return {};
  }
  if (!header || header->number != number) {
    ++out.corrupt_records;
    return set_file_aside(number);
  }
  auto &segment = segments_[number];
  segment.header = *header;
  segment.size = *size;
  segment.file = std::move(file);
  segment.phase = free ? Phase::Free : Phase::Sealed;
  if (!free) {
    // A writer that outlived the last queue process may still fill it; a look at the end decides.
    const auto shared = segment.file->shared();
    segment.enumerated = shared && !*shared;
  }
  return {};
}

// Without the header's salt nothing in it can be verified; keep all of it.
Result<void> StoreImpl::set_file_aside(std::uint32_t number) {
  auto to = path("corrupt/segment-" + file_name(number));
  const auto taken = [&] { return files_.open(to, io::OpenMode::Read).ok(); };  // numbers are used again
  for (int i = 2; taken(); ++i) to = path(fmt::format("corrupt/segment-{}.{}", file_name(number), i));
  log_.error("segment header damaged: set aside", {{"segment", number}, {"file", to}});
  if (auto r = files_.rename(segment_path(number), to); !r) return r;
  if (auto r = files_.sync_directory(path("corrupt")); !r) return r;
  return files_.sync_directory(path("segments"));
}

// What a disk does not give today it may give tomorrow: the segment is not used again.
void StoreImpl::keep_unreadable(Segment &segment) {
  segment.phase = Phase::Broken;
  log_.error("segment partly unreadable: kept", {{"segment", segment.header.number}});
}

// Does every message that the checkpoint called alive still exist? Damage was counted where it was found; this
// also speaks of what Durability::Process lost in a power cut.
void StoreImpl::account_for(const Table &table) {
  for (const auto &[number, entry] : table) {
    const auto i = segments_.find(number);
    if (i != segments_.end() && (i->second.header.epoch > entry.epoch || i->second.header.epoch == 0))
      continue;  // recycled
    if (entry.live == 0) continue;
    Commits done;
    (void)done.decode_done(entry.done);
    const auto found = i == segments_.end() ? 0 : i->second.commits.size() - done.size();
    if (found >= entry.live) continue;
    // A segment of which all messages were done since may be gone rightly; the queue's entries know better.
    if (i == segments_.end()) {
      log_.info("segment of the last checkpoint is gone",
                {{"segment", number}, {"epoch", entry.epoch}, {"messages", entry.live}});
    } else {
      log_.error("messages missing from segment",
                 {{"segment", number}, {"epoch", entry.epoch}, {"messages", entry.live - found}});
    }
  }
}

// ---- what is damaged ---------------------------------------------------------------------------------------

// Copies bytes of a segment into corrupt/. If that fails, the segment itself is kept.
bool StoreImpl::set_aside(const std::string &name, Segment &segment, std::uint64_t from, std::uint64_t to) {
  const auto target = path("corrupt/" + name);
  auto keep = [&](const Error &error) {
    segment.phase = Phase::Broken;
    log_.error("damage cannot be set aside: segment kept", {{"segment", segment.header.number}, {"error", error.text}});
    return false;
  };
  if (auto old = files_.open(target, io::OpenMode::Read)) {
    const auto size = (*old)->size();  // found at an earlier start, which may have been killed before its sync
    if (size && *size >= to - from && (*old)->data_sync()) return true;
  }
  auto in = file_of(segment);
  if (!in) return keep(in.error());
  auto out = files_.open(target, io::OpenMode::Create);
  if (!out) return keep(out.error());
  FileBytes bytes{**in};
  for (auto at = from; at < to;) {
    const auto part = bytes.view(at, to - at);
    if (part.empty()) break;
    if (auto r = (*out)->write_at(at - from, part); !r) return keep(r.error());
    at += part.size();
  }
  if (auto r = (*out)->data_sync(); !r) return keep(r.error());
  if (auto r = files_.sync_directory(path("corrupt")); !r) return keep(r.error());
  return true;
}

std::uint64_t StoreImpl::set_aside_damage(Segment &segment, const SegmentReport &report) {
  std::uint64_t n = 0;
  const auto &h = segment.header;
  for (const auto &gap : report.scan.gaps) {
    if (!gap.damage) continue;
    ++n;
    log_.error("spool damaged: set aside",
               {{"segment", h.number}, {"epoch", h.epoch}, {"from", gap.from}, {"to", gap.to}});
    set_aside(fmt::format("segment-{}-{}-{}", file_name(h.number), h.epoch, gap.from), segment, gap.from, gap.to);
  }
  if (n == 0 && report.missing > 0) {
    n = report.missing;
    log_.error("commits missing from segment",
               {{"segment", h.number}, {"epoch", h.epoch}, {"messages", report.missing}});
  }
  damaged_ |= n > 0;
  return n;
}

}  // namespace mansio::spool
