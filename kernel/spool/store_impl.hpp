// The store's inside. store.cpp: opening, reading, retiring. grants.cpp: segments given out and taken back.
// space.cpp: room for them.
// recovery.cpp: what a start finds. search.cpp: what a writer left unsaid. compaction.cpp: sparse segments emptied.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/spool/batch.hpp"
#include "kernel/spool/commits.hpp"
#include "kernel/spool/epochs.hpp"
#include "kernel/spool/io_thread.hpp"
#include "kernel/spool/journal.hpp"
#include "kernel/spool/messages.hpp"
#include "kernel/spool/segment.hpp"
#include "kernel/spool/store.hpp"

namespace mansio::spool {

class StoreImpl : public Store {
 public:
  StoreImpl(asio::io_context &loop, const Clock &clock, Logger &log, io::FileSystem &files, StoreOptions options,
            Turns *turns = nullptr);
  StoreImpl(const StoreImpl &) = delete;
  StoreImpl &operator=(const StoreImpl &) = delete;
  ~StoreImpl() override;
  Result<void> prepare();  // directories and lock

  Result<void> recover(const std::function<void(std::string_view)> &entry) override;
  void find_mail(OnCommit committed, std::function<void(const Recovered &)> done) override;
  void look_again(const Named &named, OnCommit committed, std::function<void()> done) override;
  void on_coming(std::function<void(MessageId)> callback) override { coming_ = std::move(callback); }
  bool holds(const Place &place) override { return find(place) != nullptr; }
  void grant(std::string_view owner, std::uint64_t least, GrantFor use,
             std::function<void(Result<SegmentGrant>)> done) override;
  bool was_active() const override { return was_active_; }
  bool damaged() override;
  std::uint32_t first_epoch() const override { return first_epoch_; }
  void give_up(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override;
  bool is_given_up(const Place &commit) const override;
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override;
  void orphaned(std::uint32_t segment, std::uint32_t epoch) override;
  void scan(std::uint32_t segment, std::uint32_t epoch, bool over, OnCommit committed,
            std::function<void(Result<void>)> done) override;
  bool admit(const Committed &message) override;
  void retire(const Place &commit, std::uint64_t sequence) override;
  Result<Committed> read_commit(MessageId id, const Place &commit) override;
  Result<Envelope> read_envelope(const Committed &message) override;
  Result<void> verify_body(const Committed &message) override;
  void verify_body(const Committed &message, std::function<void(Result<void>)> done) override;
  Result<std::string> read(const Place &place, std::uint64_t offset, std::uint64_t length) override;
  Result<io::UniqueFd> open_for_reading(std::uint32_t segment, std::uint32_t epoch) override;
  void pin(const Place &place) override;
  void unpin(const Place &place) override;
  void on_wanted(std::function<void(std::uint32_t, std::uint32_t)> callback) override { wanted_ = std::move(callback); }
  void on_unadmitted(std::function<void(std::uint32_t, std::uint32_t)> callback) override {
    unadmitted_ = std::move(callback);
  }
  std::uint64_t journal(std::string_view bytes) override;
  std::uint64_t synced_sequence() const override { return journal_.synced(); }
  void on_synced(std::function<void(std::uint64_t)> callback) override {
    synced_callbacks_.push_back(std::move(callback));
  }
  // Not while copies are being written: a checkpoint would forget that a message is done of which a copy is on the
  // disk, and name neither the copy nor the message.
  bool wants_checkpoint() const override { return !copying_ && journal_.wants_checkpoint(journal_room()); }
  void begin_checkpoint() override;
  bool checkpoint_has_room() const override { return journal_.unwritten() < kCheckpointAhead; }
  void snapshot(std::string_view bytes) override { journal_.snapshot(bytes); }
  void end_checkpoint() override { journal_.end_checkpoint(); }
  void compact(Mover &mover) override;
  std::uint32_t moves(MessageId id, const Place &commit) override;
  Usage usage() const override;
  bool disk_full() const override { return disk_full_; }
  std::uint64_t mark_active(bool any) override;
  Result<void> close_clean() override;

 private:
  static constexpr std::size_t kCheckpointAhead = 4u << 20;  // bytes of it in memory

  enum class Phase : std::uint8_t {
    Free,      // retired or new; its header says so, or is about to be rewritten
    Granting,  // with the thread
    Open,      // a writer has it
    Sealed,
    Examining,  // sealed; the thread lists its commits
    Recycling,  // with the thread
    Broken,     // unreadable header, or a body of it is damaged: kept, never used again
  };
  struct Segment {
    FileHeader header;
    Phase phase = Phase::Free;
    std::shared_ptr<io::File> file;
    std::string owner;
    std::uint64_t size = 0;  // of the file
    std::uint64_t bad_from = 0;
    std::uint64_t unstable_from = UINT64_MAX;  // could not be synced, and its writer is dead
    bool enumerated = false;                   // `commits` holds every commit there is
    Commits commits;
    std::map<std::uint64_t, Place> elsewhere;  // bodies that lie in segments of their own, by their COMMIT's offset
    std::uint32_t pins = 0;
    std::uint32_t bodies = 0;  // messages, committed in other segments, whose body lies here
    bool cited = false;        // there was one
    bool large = false;        // holds one large body, whatever its kind says
    bool held = false;         // retired, but a descriptor is open somewhere
    bool unread = false;       // found at the start, and not yet looked through
    bool fresh = false;        // made by this process and never given out: nobody can have read it
    bool spoiled = false;      // something in it cannot be copied: compaction would not empty it
    std::optional<Nanos> sparse_since;
    std::uint64_t live_before = 0;  // messages, when compaction looked last
  };
  struct Request {
    std::string owner;
    std::uint64_t least = 0;
    GrantFor use = GrantFor::NewMail;
    std::function<void(Result<SegmentGrant>)> done;
  };

  std::string path(std::string_view name) const { return options_.directory + "/" + std::string{name}; }
  std::string segment_path(std::uint32_t number) const { return path("segments/" + file_name(number)); }
  Segment *find(std::uint32_t number, std::uint32_t epoch);
  Segment *find(const Place &place) { return find(place.segment, place.epoch); }
  Result<std::shared_ptr<io::File>> file_of(Segment &segment);
  Result<std::string> read_record(const Place &place, RecordType type, MessageId id);

  // grants.cpp
  void serve();
  void grant_from(Segment &segment, Request request);
  // Filled with zeros; growing as its one large body comes; what is put aside for compaction.
  enum class Make : std::uint8_t { Filled, Growing, OfColdFile };
  void make_segment(std::uint64_t size, Make how, std::function<void(Result<std::uint32_t>)> done);
  void consider(Segment &segment);  // may it be recycled?
  void examine(Segment &segment);
  void recycle(Segment &segment);
  void forget(std::uint32_t number);
  void start_threads();
  void retry_held();
  std::size_t free_count() const;

  // space.cpp
  bool room_for(std::uint64_t bytes) const {
    return !space_known_ || disk_free_ >= options_.reserve_bytes + promised_ + bytes;
  }
  bool room_for(GrantFor use, std::uint64_t bytes) const;
  std::uint64_t ordinary_size() const;  // of a segment made now
  std::uint64_t journal_room() const;
  void keep_spares();
  void keep_reserve();
  std::uint64_t cold_file_size() const { return std::min(options_.segment_size, options_.cold_reserve); }
  void keep_cold_file();
  void check_space();
  void give_back();
  void tick();

  // search.cpp
  struct Search;
  enum class Look : std::uint8_t {
    First,
    Again,
    Filling,
    Over
  };  // by recovery, twice; beside a writer; after its death
  void search(std::uint32_t number, std::uint32_t epoch, Look look, OnCommit committed,
              std::function<void(Result<void>)> done);
  void look_at_bodies(std::shared_ptr<Search> search);
  void hand_over(std::shared_ptr<Search> search);
  enum class Body : std::uint8_t { Intact, Broken, Unreadable };
  void consider_found(Segment &segment, const FoundCommit &found, Body body, std::optional<std::uint64_t> synced,
                      const OnCommit &committed);
  bool set_body_aside(const Committed &message);
  void report_damaged(const Segment &segment, const Committed &message, std::string_view part);

  // compaction.cpp
  struct Compaction;
  struct Portion;
  bool sparse(const Segment &segment) const;
  bool may_take_cold_file();
  void list_portion(std::shared_ptr<Compaction> c);
  void copy_portion(std::shared_ptr<Compaction> c);
  void settle_portion(std::shared_ptr<Compaction> c, Portion &portion);
  void take_cold(std::shared_ptr<Compaction> c);
  void seal_cold(std::uint64_t bad_from);
  void end_compaction(std::shared_ptr<Compaction> c);
  void set_damaged_aside(Segment &segment, const Committed &message);

  // store.cpp
  Result<CommitPayload> read_commit_payload(MessageId id, Place &at);
  struct Waiting {
    std::uint32_t segment, epoch;
    std::uint64_t offset;
  };
  bool learn(Segment &segment, const Committed &message);
  void retired(const Waiting &message);
  void journal_synced(std::uint64_t sequence);
  void checkpointed(bool complete);

  // recovery.cpp
  using Table = std::map<std::uint32_t, TableEntry>;  // by segment
  // Between recover() and all_found().
  struct Finding {
    Recovered out;
    std::uint64_t of_journal = 0;  // of the damage
    Table table;
    std::vector<std::uint32_t> order;  // segments, older fillings first: mail comes back about as it came
    std::size_t next = 0, left = 0;
    OnCommit committed;
    std::function<void(const Recovered &)> done;
  };
  Result<void> load_segments(const Table &table, Recovered &out);
  struct Opened {
    std::uint32_t number = 0;
    std::unique_ptr<io::File> file;
    Result<FileHeader> header;
    std::uint64_t read = 0;  // bytes of its first page
  };
  Result<void> load_segment(Opened &opened, const TableEntry *entry, Recovered &out);
  Result<void> set_file_aside(std::uint32_t number);
  void search_next();
  void all_found();
  void give_up_bodies();
  bool all_readable() const;
  void account_for(const Table &table);
  bool set_aside(const std::string &name, Segment &segment, std::uint64_t from, std::uint64_t to);
  void keep_unreadable(Segment &segment);
  std::uint64_t set_aside_damage(Segment &segment, const SegmentReport &report);

  asio::io_context &loop_;
  Logger &log_;
  io::FileSystem &files_;
  StoreOptions options_;
  Turns *const turns_;
  io::UniqueFd lock_;
  Journal journal_;
  Epochs epochs_;  // the thread's, once it runs
  std::uint32_t first_epoch_ = 0;
  bool was_active_ = false;
  std::map<std::uint32_t, Segment> segments_;       // by number; references stay valid
  std::map<std::uint32_t, TableEntry> unreadable_;  // segments of which not even the header can be read now
  std::uint32_t next_number_ = 1;
  std::vector<Request> requests_;
  bool making_spare_ = false;
  bool disk_full_ = false, space_known_ = false;
  bool closing_ = false;
  bool damaged_ = false;                                    // some record of a segment is
  bool journal_damaged_ = false;                            // and no checkpoint was written since
  std::unique_ptr<Finding> finding_;                        // until all mail of an earlier life is found
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // for what is posted to the loop
  std::uint64_t disk_free_ = 0;
  std::uint64_t promised_ = 0;  // of it, to files that are being made

  const Clock &clock_;
  std::shared_ptr<Compaction> compaction_;  // the one under way
  std::shared_ptr<OpenSegment> cold_;       // where copies go; the thread's while `copying_`
  bool copying_ = false;                    // there may be copies on the disk that the loop does not know
  Nanos compact_at_ = 0;                    // after trouble: not before
  enum class ColdFile : std::uint8_t { Missing, WithThread, Kept };
  ColdFile cold_file_ = ColdFile::Missing;  // segments/cold
  std::uint64_t compacted_segments_ = 0, compacted_messages_ = 0;

  std::multimap<std::uint64_t, Waiting> retiring_;         // by journal sequence
  std::vector<Waiting> until_checkpoint_, in_checkpoint_;  // retiring, once a checkpoint says so; that of the one now
  std::vector<std::function<void(std::uint64_t)>> synced_callbacks_;
  std::function<void(std::uint32_t, std::uint32_t)> wanted_, unadmitted_;
  std::function<void(MessageId)> coming_;
  asio::steady_timer timer_, held_timer_;
  bool held_timer_set_ = false;
  std::unique_ptr<IoThread> thread_;
};

}  // namespace mansio::spool
