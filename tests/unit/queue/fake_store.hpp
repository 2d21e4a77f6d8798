// FakeStore: a spool in memory that behaves as kernel/spool/store.hpp says: journal entries count only once synced
// (sync() is the test's), and crash() keeps what a crash would keep.
#pragma once

#include <fcntl.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kernel/spool/store.hpp"

namespace mansio::queue {

struct FakeDisk {  // what outlives the queue process
  using PlaceOf = std::tuple<std::uint32_t, std::uint32_t, std::uint64_t>;
  static PlaceOf place_of(const spool::Place &commit) { return {commit.segment, commit.epoch, commit.offset}; }
  std::map<PlaceOf, std::uint32_t> copied;  // how often
  std::vector<std::pair<spool::Committed, Envelope>> commits;
  std::vector<std::string> journal;                        // synced
  std::set<std::pair<std::uint32_t, std::uint32_t>> lost;  // segments
  bool clean = true, active = false, damaged = false;
  std::uint32_t epochs = 110;  // the next to be given
};

class FakeStore final : public spool::Store {
 public:
  explicit FakeStore(FakeDisk &disk) : disk_(disk) {}

  Result<void> recover(const std::function<void(std::string_view)> &entry) override {
    for (const auto &e : disk_.journal) entry(e);
    found_.messages = disk_.commits.size();
    found_.clean_stop = disk_.clean;
    was_active_ = !disk_.clean && disk_.active;
    disk_.clean = false;
    first_epoch_ = std::exchange(disk_.epochs, disk_.epochs + 64);
    return {};
  }
  void find_mail(OnCommit committed, std::function<void(const spool::Recovered &)> done) override {
    finding = [this, committed = std::move(committed), done = std::move(done)] {
      for (const auto &[at, envelope] : std::vector{disk_.commits})
        if (!admitted_.contains(place_of(at.commit))) committed(at, Envelope{envelope});
      done(found_);
    };
    if (!slow_finding) std::exchange(finding, nullptr)();
  }
  void look_again(const Named &named, OnCommit committed, std::function<void()> done) override {
    named_again = named;
    for (const auto &[at, envelope] : std::vector{disk_.commits})
      if (!named.contains({at.commit.segment, at.commit.epoch}) && !admitted_.contains(place_of(at.commit)))
        committed(at, Envelope{envelope});
    done();
  }
  std::optional<Named> named_again;
  bool holds(const spool::Place &place) override { return !disk_.lost.contains({place.segment, place.epoch}); }
  bool slow_finding = false;
  std::function<void()> finding;  // all of it, if slow

  void grant(std::string_view, std::uint64_t, spool::GrantFor use,
             std::function<void(Result<spool::SegmentGrant>)> done) override {
    if (full && use == spool::GrantFor::NewMail) return done(Error{Status::Busy, "disk full", {4, 3, 1}});
    spool::SegmentGrant g;
    g.segment = ++next_segment;
    g.epoch = next_segment + 100;
    g.size = 1024;
    g.fd = io::UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)};
    done(std::move(g));
  }
  void give_up(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override {
    bad_[{segment, epoch}] = bad_from;
  }
  bool is_given_up(const spool::Place &commit) const override {
    const auto at = bad_.find({commit.segment, commit.epoch});
    return at != bad_.end() && commit.offset >= at->second;
  }
  bool was_active() const override { return was_active_; }
  bool damaged() override { return disk_.damaged; }
  std::uint32_t first_epoch() const override { return first_epoch_; }
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t) override { sealed_.insert({segment, epoch}); }
  void orphaned(std::uint32_t segment, std::uint32_t epoch) override { orphaned_.insert({segment, epoch}); }
  void scan(std::uint32_t segment, std::uint32_t epoch, bool, OnCommit committed,
            std::function<void(Result<void>)> done) override {
    ++scans;
    auto work = [this, segment, epoch, committed, done] {
      for (const auto &[at, envelope] : std::vector{disk_.commits})
        if (at.commit.segment == segment && at.commit.epoch == epoch && !admitted_.contains(place_of(at.commit)))
          committed(at, Envelope{envelope});
      done({});
    };
    if (slow_scans)
      scanning.push_back(work);
    else
      work();
  }
  void finish_scans() {
    for (auto &work : std::exchange(scanning, {})) work();
  }
  bool admit(const spool::Committed &m) override { return admitted_.insert(place_of(m.commit)).second; }
  void retire(const spool::Place &commit, std::uint64_t) override {
    retired_places.insert(place_of(commit));
    for (const auto &[at, envelope] : disk_.commits)
      if (same_commit(at, commit)) retired.insert(at.id);
  }
  std::uint32_t moves(MessageId, const spool::Place &commit) override { return disk_.copied[place_of(commit)]; }
  void compact(spool::Mover &m) override { mover = &m; }
  Result<spool::Committed> read_commit(MessageId id, const spool::Place &commit) override {
    for (const auto &[at, envelope] : disk_.commits)
      if (at.id == id && same_commit(at, commit)) return at;
    return Error{Status::Fail, "no such commit"};
  }
  Result<Envelope> read_envelope(const spool::Committed &m) override {
    ++envelope_reads;
    for (const auto &[at, envelope] : disk_.commits)
      if (at.id == m.id && !unreadable) return envelope;
    return Error{Status::Fail, "checksum"};
  }
  Result<void> verify_body(const spool::Committed &m) override {
    ++bodies_read;
    return rotten.contains(m.id) ? Result<void>{Error{Status::Fail, "checksum"}} : Result<void>{};
  }
  void verify_body(const spool::Committed &m, std::function<void(Result<void>)> done) override {
    reading.push_back([this, m, done] { done(verify_body(m)); });
  }
  Result<std::string> read(const spool::Place &, std::uint64_t, std::uint64_t) override { return std::string{}; }
  Result<io::UniqueFd> open_for_reading(std::uint32_t, std::uint32_t) override {
    return io::UniqueFd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  }
  void pin(const spool::Place &p) override { ++pins[{p.segment, p.epoch}]; }
  void unpin(const spool::Place &p) override {
    auto &n = pins[{p.segment, p.epoch}];
    if (n == 0)
      ++bad_unpins;
    else
      --n;
  }
  std::uint64_t journal(std::string_view bytes) override {
    unsynced_.emplace_back(bytes);
    return ++sequence_;
  }
  std::uint64_t synced_sequence() const override { return synced_; }
  void on_synced(std::function<void(std::uint64_t)>) override {}
  bool wants_checkpoint() const override { return want_checkpoint; }
  void begin_checkpoint() override {
    want_checkpoint = false;
    replaced_ = disk_.journal.size() + unsynced_.size();
    done_before_ = retired;
  }
  bool checkpoint_has_room() const override { return checkpoint_room; }
  void snapshot(std::string_view bytes) override { unsynced_.emplace_back(bytes); }
  void end_checkpoint() override {
    sync();
    disk_.journal.erase(disk_.journal.begin(), disk_.journal.begin() + static_cast<std::ptrdiff_t>(replaced_));
    // The segment table: what was retired is not reported again.
    std::erase_if(disk_.commits, [&](const auto &c) { return done_before_.contains(c.first.id); });
    ++checkpoints;
  }
  spool::Usage usage() const override { return {}; }
  bool disk_full() const override { return full; }
  std::uint64_t mark_active(bool any) override {
    unsynced_active_ = any;
    return ++sequence_;
  }
  Result<void> close_clean() override {
    sync();
    disk_.clean = true;
    return {};
  }

  void sync() {
    for (auto &e : unsynced_) disk_.journal.push_back(std::move(e));
    unsynced_.clear();
    disk_.active = unsynced_active_;
    synced_ = sequence_;
  }
  bool all_synced() const { return synced_ == sequence_; }

  bool full = false, want_checkpoint = false, unreadable = false;
  bool checkpoint_room = true;
  int checkpoints = 0;
  int scans = 0, envelope_reads = 0, bodies_read = 0, bad_unpins = 0;
  std::set<MessageId> rotten;                  // their bodies do not verify
  std::vector<std::function<void()>> reading;  // of large bodies, under way
  std::uint32_t next_segment = 10;
  std::set<MessageId> retired;
  using PlaceOf = FakeDisk::PlaceOf;
  static PlaceOf place_of(const spool::Place &commit) { return FakeDisk::place_of(commit); }
  std::set<PlaceOf> retired_places;
  spool::Mover *mover = nullptr;  // once it was asked for
  std::set<std::pair<std::uint32_t, std::uint32_t>> sealed_, orphaned_;
  bool slow_scans = false;  // they end with finish_scans()
  std::vector<std::function<void()>> scanning;
  std::map<std::pair<std::uint32_t, std::uint32_t>, int> pins;

 private:
  static bool same_commit(const spool::Committed &at, const spool::Place &commit) {
    return at.commit.segment == commit.segment && at.commit.epoch == commit.epoch && at.commit.offset == commit.offset;
  }

  FakeDisk &disk_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> bad_;
  spool::Recovered found_;
  std::uint32_t first_epoch_ = 0;
  bool was_active_ = false, unsynced_active_ = false;
  std::size_t replaced_ = 0;  // entries that the checkpoint takes the place of
  std::set<MessageId> done_before_;
  std::set<PlaceOf> admitted_;
  std::vector<std::string> unsynced_;
  std::uint64_t sequence_ = 0, synced_ = 0;
};

}  // namespace mansio::queue
