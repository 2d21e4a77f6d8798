// Segments given out and taken back (space.cpp: how much room there is for them). What takes time (zero-filling, the
// sync of a header, looking through a segment before it is used again) happens on the thread; every decision is made on
// the loop.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "kernel/spool/random.hpp"
#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {
namespace {

constexpr auto kHeldRetry = std::chrono::milliseconds{200};

}  // namespace

std::size_t StoreImpl::free_count() const {
  std::size_t n = 0;
  for (const auto &[number, segment] : segments_) n += segment.phase == Phase::Free;
  return n;
}

void StoreImpl::grant(std::string_view owner, std::uint64_t least, GrantFor use,
                      std::function<void(Result<SegmentGrant>)> done) {
  requests_.push_back({std::string{owner}, least, use, std::move(done)});
  serve();
}

void StoreImpl::serve() {
  if (!thread_) return;
  if (!requests_.empty()) check_space();
  for (auto &request : std::exchange(requests_, {})) {
    const bool full = disk_full_ && request.use == GrantFor::NewMail;
    if (full || closing_) {
      asio::post(loop_, [done = std::move(request.done), full] {
        done(Error{Status::Busy,
                   full ? "insufficient system storage" : "the spool is closing",
                   {4, 3, std::uint16_t(full ? 1 : 2)}});
      });
      continue;
    }
    Segment *found = nullptr;
    for (auto &[number, segment] : segments_) {
      if (request.least == 0 && segment.phase == Phase::Free) {
        found = &segment;
        break;
      }
    }
    if (found) {
      grant_from(*found, std::move(request));
      continue;
    }
    auto shared = std::make_shared<Request>(std::move(request));
    const bool large = shared->least != 0;
    const auto ordinary = ordinary_size();
    auto size = large ? shared->least : ordinary;
    auto how = large ? Make::Growing : Make::Filled;
    if (!room_for(shared->use, size) && shared->use == GrantFor::Compaction && may_take_cold_file()) {
      size = cold_file_size();
      how = Make::OfColdFile;
    } else if (!room_for(shared->use, size)) {
      asio::post(loop_, [shared] { shared->done(Error{Status::Busy, "insufficient system storage", {4, 3, 1}}); });
      continue;
    }
    make_segment(size, how, [this, shared](Result<std::uint32_t> number) {
      if (!number) return shared->done(number.error());
      grant_from(segments_.at(*number), std::move(*shared));
    });
  }
  keep_spares();
}

void StoreImpl::make_segment(std::uint64_t size, Make how, std::function<void(Result<std::uint32_t>)> done) {
  const auto number = next_number_++;
  auto &segment = segments_[number];
  segment.header.number = number;
  segment.header.node = options_.node;
  segment.header.kind = how == Make::Growing ? FileKind::LargeBody : FileKind::Segment;
  segment.header.size = segment.size = size;
  segment.phase = Phase::Granting;
  struct Made {
    Result<void> result;
    std::shared_ptr<io::File> file;
  };
  auto made = std::make_shared<Made>();
  const auto takes = how == Make::OfColdFile ? 0 : size;
  promised_ += takes;
  if (how == Make::OfColdFile) {
    cold_file_ = ColdFile::WithThread;
    log_.info("no room: compaction takes what is put aside for it", {{"segment", number}, {"size", size}});
  }
  thread_->run(
      [this, made, header = segment.header, how, name = segment_path(number)] {
        auto &r = made->result;
        // The file itself becomes the segment: nobody else can have its blocks meanwhile.
        const bool there = how == Make::OfColdFile;
        if (there) r = files_.rename(path("segments/cold"), name);
        if (!r) return;
        auto file = files_.open(name, there ? io::OpenMode::ReadWrite : io::OpenMode::CreateExclusive);
        if (!file) {
          r = file.error();
          if (there) (void)files_.remove(name);
          return;
        }
        made->file = std::move(*file);
        if (how == Make::Filled) r = made->file->zero_fill(kPage, header.size);
        if (r) r = made->file->write_at(0, encode_header(header));
        if (r) r = made->file->data_sync();
        if (r) r = files_.sync_directory(path("segments"));
        if (!r) (void)files_.remove(name);
      },
      [this, made, number, takes, how, done = std::move(done)] {
        promised_ -= takes;
        if (how == Make::OfColdFile) cold_file_ = ColdFile::Missing;
        if (!made->result) {
          log_.error("no new spool segment", {{"error", made->result.error().text}});
          forget(number);
          return done(made->result.error());
        }
        segments_.at(number).file = made->file;
        segments_.at(number).fresh = true;
        segments_.at(number).phase = Phase::Free;
        done(number);
      });
}

void StoreImpl::grant_from(Segment &segment, Request request) {
  segment.phase = Phase::Granting;
  struct Granted {
    bool held = false;
    FileHeader header;
    Result<void> result;
    io::UniqueFd fd;
  };
  auto granted = std::make_shared<Granted>();
  granted->header = segment.header;
  granted->header.salt = random_salt();
  auto opened = file_of(segment);
  if (!opened) granted->result = opened.error();
  const auto number = segment.header.number;
  thread_->run(
      [this, granted, file = opened ? *opened : nullptr, fresh = segment.fresh, name = segment_path(number)] {
        auto &r = granted->result;
        if (!r) return;
        // Nobody has a descriptor. But what sendfile() put into a socket are the file's pages themselves, and the
        // kernel still sends them after the end of the delivery or of its process, and a peer may have answered before
        // it read: new mail written to these pages would go to that peer.
        if (!fresh) {
          const auto forgotten = file->forget_pages();
          granted->held = !forgotten || !*forgotten;
        }
        if (granted->held) {
          (void)files_.remove(name);
          return;
        }
        if (auto epoch = epochs_.next())
          granted->header.epoch = *epoch;
        else
          r = epoch.error();
        if (r) r = file->write_at(0, encode_header(granted->header));
        if (r) r = file->data_sync();
        if (!r) return;
        if (auto fd = file->duplicate(false))
          granted->fd = std::move(*fd);
        else
          r = fd.error();
      },
      [this, granted, number, shared = std::make_shared<Request>(std::move(request))] {
        if (granted->held) {
          log_.debug("segment not filled anew: a socket still has bytes of it", {{"segment", number}});
          forget(number);
          requests_.push_back(std::move(*shared));
          return serve();
        }
        if (!granted->result) {
          log_.error("spool segment unusable", {{"segment", number}, {"error", granted->result.error().text}});
          (void)files_.remove(segment_path(number));
          forget(number);
          const bool full = granted->result.error().status == Status::Busy;
          shared->done(Error{
              full ? Status::Busy : Status::Defer, granted->result.error().text, {4, 3, std::uint16_t(full ? 1 : 0)}});
          return keep_spares();
        }
        auto &s = segments_.at(number);
        Segment fresh;
        fresh.header = granted->header;
        fresh.phase = Phase::Open;
        fresh.file = s.file;
        fresh.owner = shared->owner;
        fresh.size = s.size;
        s = std::move(fresh);
        log_.debug("segment granted",
                   {{"owner", s.owner}, {"segment", number}, {"epoch", s.header.epoch}, {"size", s.size}});
        SegmentGrant grant{options_.node, number, s.header.epoch, s.size, std::move(granted->fd)};
        shared->done(std::move(grant));
        keep_spares();
      });
}

void StoreImpl::sealed(std::uint32_t number, std::uint32_t epoch, std::uint64_t bad_from) {
  auto *segment = find(number, epoch);
  if (!segment) return;
  if (bad_from > kFirstRecord) {
    log_.warn("segment given up by its writer",
              {{"owner", segment->owner}, {"segment", number}, {"epoch", epoch}, {"bad_from", bad_from}});
  }
  give_up(number, epoch, bad_from);
  if (bad_from == kFirstRecord && segment->commits.size() == 0) segment->enumerated = true;
  if (segment->phase == Phase::Open) segment->phase = Phase::Sealed;
  segment->commits.shrink();
  consider(*segment);
}

void StoreImpl::give_up(std::uint32_t number, std::uint32_t epoch, std::uint64_t bad_from) {
  auto *segment = find(number, epoch);
  if (!segment || bad_from == 0 || segment->bad_from == bad_from) return;
  segment->bad_from = bad_from;
  // The next process would believe the page cache, which a later sync that succeeds does not make true.
  journal_.append(RecordType::GivenUp, encode(GivenUpEntry{number, epoch, bad_from}));
  journal_.hurry();
}

bool StoreImpl::is_given_up(const Place &commit) const {
  const auto i = segments_.find(commit.segment);
  if (i == segments_.end() || i->second.header.epoch != commit.epoch) return false;
  const auto &s = i->second;
  return (s.bad_from != 0 && commit.offset >= s.bad_from) || commit.offset >= s.unstable_from;
}

void StoreImpl::orphaned(std::uint32_t number, std::uint32_t epoch) {
  auto *segment = find(number, epoch);
  if (!segment) return;
  // While mail is still being found, what cites it may be yet to come: give_up_bodies() sees to it then.
  const bool large = segment->large || segment->header.kind == FileKind::LargeBody;
  segment->enumerated |= large && finding_;
  // Or in what cannot be read now.
  const bool useless = large && !finding_ && !segment->cited && segment->commits.size() == 0 && all_readable();
  sealed(number, epoch, useless ? kFirstRecord : 0);
}

// ---- recycling -----------------------------------------------------------------------------------------------

void StoreImpl::consider(Segment &segment) {
  if (closing_ || !thread_ || segment.phase != Phase::Sealed || segment.unread) return;
  if (segment.pins > 0 || segment.bodies > 0 || !segment.commits.all_retired()) return;
  const bool useless = segment.bad_from == kFirstRecord;
  // A large body waits for the notice of its commit, which comes after the word that its segment is sealed.
  const bool large = segment.large || segment.header.kind == FileKind::LargeBody;
  if (large && !segment.cited && segment.commits.size() == 0 && !useless) return;
  if (segment.enumerated)
    recycle(segment);
  else
    examine(segment);
}

// Every commit must have been admitted, those whose notice was lost included: so look.
void StoreImpl::examine(Segment &segment) {
  segment.phase = Phase::Examining;
  struct Found {
    bool held = false, large = false, unreadable = false;
    std::vector<Committed> messages;
    SegmentReport report;
  };
  auto found = std::make_shared<Found>();
  auto opened = file_of(segment);
  const auto number = segment.header.number;
  if (!opened) {
    segment.phase = Phase::Broken;
    log_.error("segment unreadable", {{"segment", number}, {"error", opened.error().text}});
    return;
  }
  thread_->run(
      [found, file = *opened, header = segment.header, bad_from = segment.bad_from] {
        const auto shared = file->shared();
        found->held = !shared || *shared;
        if (found->held) return;
        FileBytes bytes{*file};
        found->large = holds_large_body(bytes, header);
        if (found->large) return;
        found->report = find_messages(bytes, header, bad_from, false, [&](const FoundCommit &c) {
          if (c.intact) found->messages.push_back(c.message);
        });
        found->unreadable = bytes.read_errors();
      },
      [this, found, number] {
        auto &s = segments_.at(number);
        s.phase = Phase::Sealed;
        if (found->held) {
          s.held = true;
          if (wanted_) wanted_(number, s.header.epoch);
          return retry_held();
        }
        s.large = found->large;
        if (set_aside_damage(s, found->report) > 0 && s.phase == Phase::Broken) return;
        if (found->unreadable) return keep_unreadable(s);
        bool unadmitted = false;
        for (const auto &message : found->messages) {
          if (!learn(s, message)) continue;
          unadmitted = true;
          log_.warn("commit without a notice", {{"qid", message.id}, {"segment", number}});
        }
        s.enumerated = true;
        if (unadmitted && unadmitted_) unadmitted_(number, s.header.epoch);
        consider(s);
      });
}

void StoreImpl::recycle(Segment &segment) {
  segment.phase = Phase::Recycling;
  const auto number = segment.header.number;
  auto opened = file_of(segment);
  if (!opened) {
    segment.phase = Phase::Broken;
    return;
  }
  struct Done {
    bool held = false;
    Result<void> result;
  };
  auto state = std::make_shared<Done>();
  const bool keep = segment.header.kind == FileKind::Segment && segment.size == options_.segment_size &&
                    free_count() < options_.free_segments && !disk_full_;
  // Of what its writer gave up, too: the journal forgets that, and the file may come back.
  const bool had_commits = segment.commits.size() > 0 || segment.bad_from != 0;
  auto header = segment.header;
  header.epoch = 0;
  thread_->run(
      [this, state, file = *opened, header, keep, had_commits, name = segment_path(number)] {
        const auto shared = file->shared();
        state->held = !shared || *shared;
        if (state->held) return;
        // Its commits must not be found again once the journal has forgotten that they are done; removing a file
        // is not on stable storage at once.
        if (keep || had_commits) {
          state->result = file->write_at(0, encode_header(header));
          if (state->result) state->result = file->data_sync();
        }
        if (!keep && state->result) (void)files_.remove(name);
      },
      [this, state, number, keep, header] {
        auto &s = segments_.at(number);
        if (state->held) {
          s.phase = Phase::Sealed;
          s.held = true;
          if (wanted_) wanted_(number, s.header.epoch);
          return retry_held();
        }
        if (!state->result) {
          s.phase = Phase::Broken;
          log_.error("segment cannot be recycled", {{"segment", number}, {"error", state->result.error().text}});
          return;
        }
        log_.debug("segment recycled", {{"segment", number}, {"epoch", s.header.epoch}});
        if (!keep) {
          forget(number);
          if (cold_file_ != ColdFile::Missing) return;
          asio::post(loop_, [this, alive = std::weak_ptr{alive_}] {  // its file is closed by then: so its space is free
            if (!alive.lock() || closing_) return;
            check_space();
            keep_cold_file();
          });
          return;
        }
        Segment fresh;
        fresh.header = header;
        fresh.file = s.file;
        fresh.size = s.size;
        s = std::move(fresh);
        serve();
      });
}

void StoreImpl::forget(std::uint32_t number) { segments_.erase(number); }

void StoreImpl::retry_held() {
  if (held_timer_set_ || closing_) return;
  held_timer_set_ = true;
  const auto again = [this] {
    held_timer_set_ = false;
    for (auto &[number, segment] : segments_) {
      if (!segment.held || segment.phase != Phase::Sealed) continue;
      segment.held = false;
      consider(segment);
    }
  };
  if (turns_) return turns_->later(again, std::chrono::nanoseconds{kHeldRetry}.count());
  held_timer_.expires_after(kHeldRetry);
  held_timer_.async_wait([again](ErrorCode error) {
    if (!error) again();
  });
}

void StoreImpl::start_threads() {
  thread_ = std::make_unique<IoThread>(loop_, false, turns_);
  check_space();
  for (auto &[number, segment] : segments_) consider(segment);
  serve();
  keep_cold_file();
  keep_reserve();
  tick();
}

}  // namespace mansio::spool
