// Store: the spool directory as the queue process sees it. It recovers by scan while new mail comes in, grants segments
// to writers, reads envelopes and bodies, recycles segments, sets corrupt records aside and keeps the journal.
//
// A segment returns to the free list only when it is sealed, every commit in it was admitted and retired with
// the retirement synced in the journal, and no pin is left. Synchronous file calls: the queue process may block
// for a page-cache write but never for a sync (the journal syncs on its own thread; recycling and zero-filling
// run there too).
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/file.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/spool/place.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::spool {

struct StoreOptions {
  std::string directory;
  std::uint32_t node = 0;
  std::uint64_t segment_size = 64ull * 1024 * 1024;
  std::uint32_t spare_segments = 2;            // kept zero-filled ahead of need
  std::uint64_t reserve_bytes = 256ull << 20;  // free space below which grants for new mail answer Busy (452 4.3.1)
  Nanos journal_sync_interval = 50 * kMillisecond;
  std::uint64_t journal_rotate_bytes = 64ull << 20;
  std::uint64_t journal_reserve = 16ull << 20;  // a file that is given up so that a full disk still drains
  std::uint64_t cold_reserve = 4ull << 20;      // a file, no larger than a segment, that becomes compaction's; 0: none
  std::uint32_t free_segments = 16;             // retired segments kept for use again; more are removed
  Nanos compact_after = 10 * kSecond;           // what is sparse for so long is not about to empty by itself
};

// What recovery found.
struct Recovered {
  std::uint64_t messages = 0;
  std::uint64_t corrupt_records = 0;  // set aside under corrupt/ with their bytes
  bool clean_stop = false;            // the last stop was orderly
};

struct Usage {
  std::uint64_t segments = 0, free_segments = 0, bytes = 0, disk_free = 0;
  std::uint64_t compacted_segments = 0, compacted_messages = 0;  // since the start
};

// What a segment is wanted for. New mail is refused below the reserve; a bounce is what ends old mail, so a full disk
// would not drain without it. Compaction frees more than it takes, but only later: it leaves what the journal needs,
// and has a file of its own for where that is all there is (docs/decisions/0053).
enum class GrantFor : std::uint8_t { NewMail, Bounces, Compaction };

// Whose messages compaction moves (docs/decisions/0009): it alone knows where each is looked for, and who is at it.
// Called on the loop.
class Mover {
 public:
  virtual ~Mover() = default;
  // The message is looked for at this place, and nobody is at it: it may be copied.
  virtual bool may_move(MessageId id, const Place &commit) = 0;
  // A copy is on stable storage. One of the two places is to be admitted and the other to be retired, in this call.
  virtual void moved(const Committed &copy, const Place &from) = 0;
  // What lies there does not verify, and is in corrupt/.
  virtual void damaged(MessageId id, const Place &commit) = 0;
};

class Store {
 public:
  // Takes the spool's lock; fails with a text that names the holder's pid, or the path and reason.
  static Result<std::unique_ptr<Store>> open(asio::io_context &loop, const Clock &clock, Logger &log,
                                             io::FileSystem &files, StoreOptions options);
  virtual ~Store() = default;

  // Replays the journal: `entry(bytes)` for each record since the last checkpoint, oldest first, the checkpoint's own
  // among them. Seals every segment found, without looking into it: segments can be granted from here on.
  virtual Result<void> recover(const std::function<void(std::string_view)> &entry) = 0;
  // Then, once, what the segments hold: `committed` on the loop, some at a time, for each intact commit that the last
  // checkpoint does not know as done and that was not admitted meanwhile; in commit order within a segment. `done` is
  // last. Until then no segment found is used again. Of a message whose body's segment is gone, as it is when the
  // journal knows that it was done, `holds()` says so.
  using OnCommit = std::function<void(const Committed &, Envelope &&)>;
  virtual void find_mail(OnCommit committed, std::function<void(const Recovered &)> done) = 0;
  // Once that is over and every living writer has said which segments it fills (`named`: by number and epoch): those
  // that somebody had open at the start are looked through again, without these. Their writer may have gone on after
  // the first look, and died since.
  using Named = std::set<std::pair<std::uint32_t, std::uint32_t>>;
  virtual void look_again(const Named &, OnCommit, std::function<void()> done) { done(); }
  // Of messages that `committed` is about to be called for, here and below, in that order and some ahead: a hint.
  virtual void on_coming(std::function<void(MessageId)>) {}
  virtual bool holds(const Place &) { return true; }  // its segment is there, and was not filled anew
  // The last stop was not orderly, and deliveries may have been under way (mark_active).
  virtual bool was_active() const = 0;
  // Some of what the spool held is lost or cannot be read, now or before: there is something in corrupt/, or damage was
  // found by this start. What it does not have it may have had.
  virtual bool damaged() { return false; }
  // The lowest epoch that is granted from recover() on: what lies in a lower one an earlier life may have known.
  virtual std::uint32_t first_epoch() const = 0;

  // A segment for a writer; `owner` names it in logs ("ingress.0"). `use`: whether it may spend the reserve.
  virtual void grant(std::string_view owner, std::uint64_t least, GrantFor use,
                     std::function<void(Result<SegmentGrant>)> done) = 0;
  virtual void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) = 0;
  // From this offset on nothing of the segment counts, as a write or sync failed there. Notifications among it are not
  // taken for written: is_given_up(). (Other mail is delivered all the same if it can be read.)
  virtual void give_up(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) = 0;
  virtual bool is_given_up(const Place &commit) const = 0;
  // As sealed(), for a writer that is dead, after a scan of all it had: a large body that no commit cites goes.
  virtual void orphaned(std::uint32_t segment, std::uint32_t epoch) = 0;
  // Scans a segment for commits not admitted yet: a hint was lost, or its writer died. The reading is done elsewhere;
  // then, on the loop, `committed` runs for each that is not admitted by then, and `done` last. The segment is pinned
  // until after that, so it may be sealed meanwhile. (Neither runs once the store is closed: the next start finds it.)
  // `over`: its writer is dead, so that what it may not have synced can be made stable.
  virtual void scan(std::uint32_t segment, std::uint32_t epoch, bool over, OnCommit committed,
                    std::function<void(Result<void>)> done) = 0;

  // Admission: the queue has taken this commit into its index. False if it was admitted before.
  virtual bool admit(const Committed &message) = 0;
  // The message needs its bytes no more, once journal record `sequence` is synced. `commit`: of the COMMIT record.
  virtual void retire(const Place &commit, std::uint64_t sequence) = 0;

  // What the COMMIT record at this place says of the message `id`. The place's length is not looked at.
  virtual Result<Committed> read_commit(MessageId id, const Place &commit) = 0;
  virtual Result<Envelope> read_envelope(const Committed &message) = 0;  // CRC checked
  // Is the body what was committed? Reads all of it, so for small ones only, and those not in segments of their own.
  virtual Result<void> verify_body(const Committed &message) = 0;
  // The same for any, elsewhere; then `done` runs on the loop. (Not once the store is closed.)
  virtual void verify_body(const Committed &message, std::function<void(Result<void>)> done) = 0;
  virtual Result<std::string> read(const Place &place, std::uint64_t offset, std::uint64_t length) = 0;
  // A read-only descriptor of the segment, for a lease; valid only while pinned.
  virtual Result<io::UniqueFd> open_for_reading(std::uint32_t segment, std::uint32_t epoch) = 0;
  virtual void pin(const Place &place) = 0;
  virtual void unpin(const Place &place) = 0;
  // A segment is retired, but some process still has a descriptor of it (ForgetSegment would help). It is not
  // recycled before that is closed, whatever the pins say: the kernel knows who reads better than we do.
  virtual void on_wanted(std::function<void(std::uint32_t segment, std::uint32_t epoch)>) {}

  // Commits were found there that nobody has told of: scan() hands them over.
  virtual void on_unadmitted(std::function<void(std::uint32_t segment, std::uint32_t epoch)>) {}

  // Appends to the journal; returns its sequence number. `synced_sequence()` grows within sync interval;
  // on_synced(sequence) runs on the loop afterwards.
  virtual std::uint64_t journal(std::string_view bytes) = 0;
  virtual std::uint64_t synced_sequence() const = 0;
  virtual void on_synced(std::function<void(std::uint64_t)> callback) = 0;
  // A checkpoint, after which older journal files can go: it begins with what the store knows of its segments; then
  // follows the state of every message that a restart needs to know more of than its commit, each as it is when it is
  // handed over; other entries may come in between. `checkpoint_has_room()`: the disk keeps up with it.
  virtual bool wants_checkpoint() const = 0;
  virtual void begin_checkpoint() = 0;
  virtual bool checkpoint_has_room() const = 0;
  virtual void snapshot(std::string_view bytes) = 0;
  virtual void end_checkpoint() = 0;

  // To be called about once a second: begins, or goes on with, the compaction of a sparse segment, if one is due.
  virtual void compact(Mover &) {}
  // How often the message whose COMMIT lies here was copied. Of two places found without a word in the journal, the one
  // copied less often is what the other was copied from.
  virtual std::uint32_t moves(MessageId, const Place &) { return 0; }

  virtual Usage usage() const = 0;
  virtual bool disk_full() const = 0;  // below the reserve: refuse new mail, keep delivering
  // A durable flag: deliveries may be under way. Returns its journal sequence number; setting it is synced at once.
  virtual std::uint64_t mark_active(bool any) = 0;
  virtual Result<void> close_clean() = 0;  // syncs, and marks the stop as orderly unless mail was still being found
};

}  // namespace mansio::spool
