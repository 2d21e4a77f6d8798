// A segment looked through for commits that were never admitted, while mail goes on: what an earlier life left, or what
// a writer left unsaid. The thread reads; what was admitted meanwhile is sorted out on the loop afterwards, some
// messages at a time.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {
namespace {

constexpr std::size_t kHandedOver = 256;  // messages before the loop sees to others
constexpr std::size_t kComing = 16;       // how far ahead of them it is said which come

// May be gone after a power cut, and nobody waits for its 250. It is delivered like any other, but if it is a
// notification, its parent must not be given up for it.
void distrust(FoundCommit &found) {
  auto envelope = decode_envelope(found.envelope);
  if (!envelope || !envelope->dsn_parent.id) return;
  envelope->dsn_parent = {};
  found.envelope = encode_envelope(*envelope);
}

// The batches that no later record vouches for: had their sync failed before their writer died, their pages would count
// as clean.
Result<void> write_again(io::File &file, std::uint64_t from, const Place &last) {
  constexpr std::uint64_t kPart = 1 << 20;
  const auto end = round_up(last.offset + last.length, kPage);
  std::string bytes;
  for (from = std::max(from, kFirstRecord); from < end; from += bytes.size()) {
    bytes.resize(std::min(end - from, kPart));
    const auto n = file.read_at(from, bytes.data(), bytes.size());
    if (!n) return n.error();
    if (*n == 0) break;
    bytes.resize(*n);
    if (auto r = file.write_at(from, bytes); !r) return r;
  }
  return {};
}

}  // namespace

struct StoreImpl::Search {
  struct Found {
    FoundCommit commit;
    FileHeader large;  // of the segment its body lies in, if in another, and that one's file
    std::shared_ptr<io::File> file;
    Body body = Body::Intact;  // as far as looked at
  };
  Place place;
  FileHeader header;
  std::uint64_t bad_from = 0;
  std::shared_ptr<io::File> file;
  Commits known;  // as of the beginning
  Look look = Look::First;
  bool settled = false;  // nobody fills it any more, and nobody else asks what is damaged in it
  // Those not yet handed over: tens of thousands, which a vector would copy as it doubles.
  std::deque<Found> found;
  SegmentReport report;
  bool large = false, read_errors = false;
  bool unstable = false;          // and nobody is left to say what of it is on stable storage
  std::optional<Error> unsynced;  // what was found may be in the page cache only
  // Nobody fills it any more.
  bool over() const {
    if (look != Look::First) return look != Look::Filling;
    const auto shared = file->shared();
    return shared && !*shared;
  }
  OnCommit committed;
  std::function<void(Result<void>)> done;
};

void StoreImpl::scan(std::uint32_t number, std::uint32_t epoch, bool over, OnCommit committed,
                     std::function<void(Result<void>)> done) {
  search(number, epoch, over ? Look::Over : Look::Filling, std::move(committed), std::move(done));
}

// Damage is set aside by recovery, unless a writer may be at it: half of a write looks the same. Then, and later,
// examine() does that.
void StoreImpl::search(std::uint32_t number, std::uint32_t epoch, Look look, OnCommit committed,
                       std::function<void(Result<void>)> done) {
  auto *segment = find(number, epoch);
  Result<std::shared_ptr<io::File>> file = std::shared_ptr<io::File>{};
  if (segment) file = file_of(*segment);
  if (!segment || !file || !thread_) {
    Result<void> result;
    if (!file) result = file.error();
    if (!file && (look == Look::First || look == Look::Again)) segment->phase = Phase::Broken;
    return asio::post(loop_, [result, done = std::move(done)] { done(result); });
  }
  const auto search = std::make_shared<Search>();
  search->place = {number, epoch, 0, 0};
  search->header = segment->header;
  search->bad_from = segment->bad_from;
  search->file = *file;
  search->known = segment->commits;
  search->look = look;
  search->settled = look == Look::Again || (look == Look::First && segment->enumerated);
  search->committed = std::move(committed);
  search->done = std::move(done);
  pin(search->place);
  thread_->run(
      [search] {
        auto &s = *search;
        FileBytes bytes{*s.file};
        std::optional<Place> last;
        s.large = holds_large_body(bytes, s.header);  // which is verified with its commit
        if (!s.large)
          s.report = find_messages(bytes, s.header, s.bad_from, true, [&](const FoundCommit &c) {
            const auto at = c.message.commit.offset;
            last = c.message.commit;
            if (!s.known.known(at) || s.known.state(at) == CommitState::Seen) s.found.push_back({c, {}, {}});
          });
        s.read_errors = bytes.read_errors();
        // What its writer did not sync before it was killed is in the page cache only, and will be acted on. (After the
        // look, not before: a living writer goes on.) So is what was found beside a writer that has died since.
        const bool over = s.over();
        const bool unvouched = over && s.look != Look::First && last && last->offset >= s.report.scan.synced;
        if (s.found.empty() && !unvouched) return;
        Result<void> r;
        if (over) r = write_again(*s.file, s.report.scan.synced, *last);
        if (r) r = s.file->data_sync();
        if (!r) s.unsynced = r.error();
        s.unstable = !r && over;
      },
      [this, search] { look_at_bodies(search); });
}

// Large bodies are found by the loop and read by the thread, pinned meanwhile.
void StoreImpl::look_at_bodies(std::shared_ptr<Search> search) {
  bool any = false;
  for (auto &found : search->found) {
    const auto &body = found.commit.message.body;
    auto *large = found.commit.body_elsewhere && found.commit.intact ? find(body) : nullptr;
    if (!large) continue;
    auto file = file_of(*large);
    if (!file) {
      found.body = Body::Unreadable;
      continue;
    }
    found.large = large->header;
    found.file = *file;
    pin(body);
    any = true;
  }
  if (!any) return hand_over(std::move(search));
  thread_->run(
      [search] {
        for (auto &found : search->found) {
          if (!found.file) continue;
          FileBytes bytes{*found.file};
          if (!large_body_intact(bytes, found.large, found.commit.message, found.commit.commit))
            found.body = bytes.read_errors() ? Body::Unreadable : Body::Broken;
          if (found.commit.commit.body_synced) continue;
          if (auto r = found.file->data_sync(); !r) search->unsynced = r.error();
        }
      },
      [this, search] { hand_over(search); });
}

void StoreImpl::hand_over(std::shared_ptr<Search> search) {
  if (closing_) return;
  const auto tell = [&](std::size_t ahead) {
    if (coming_ && ahead < search->found.size()) coming_(search->found[ahead].commit.message.id);
  };
  for (std::size_t i = 0; i < kComing; ++i) tell(i);  // once more where a portion begins
  for (std::size_t n = 0; n < kHandedOver && !search->found.empty(); ++n, search->found.pop_front()) {
    tell(kComing);
    auto &found = search->found.front();
    const auto at = found.commit.message.commit.offset;
    auto *segment = find(search->place);
    const bool gone = !segment || (segment->bad_from != 0 && at >= segment->bad_from && !found.commit.commit.early) ||
                      segment->bad_from == kFirstRecord;
    const bool known = segment && segment->commits.known(at) && segment->commits.state(at) != CommitState::Seen;
    if (search->unsynced && !gone && !known && at >= search->report.scan.synced) distrust(found.commit);
    if (!gone && !known)
      consider_found(*segment, found.commit, found.body,
                     search->settled ? std::optional{search->report.scan.synced} : std::nullopt, search->committed);
    if (found.file) unpin(found.commit.message.body);
  }
  if (!search->found.empty())
    return asio::post(loop_, [this, search, alive = std::weak_ptr{alive_}] {
      if (alive.lock()) hand_over(search);
    });
  if (auto *segment = find(search->place)) {
    segment->large |= search->large;
    if (search->unstable) segment->unstable_from = search->report.scan.synced;
    if (search->settled) {
      const auto damage = set_aside_damage(*segment, search->report);
      if (finding_) finding_->out.corrupt_records += damage;
    } else {
      for (const auto &gap : search->report.scan.gaps) damaged_ |= gap.damage;  // perhaps
    }
    if (search->read_errors && (search->look == Look::First || search->look == Look::Again)) keep_unreadable(*segment);
  }
  if (search->unsynced)
    log_.error("segment cannot be synced: a power cut may lose mail of it",
               {{"segment", search->place.segment}, {"error", search->unsynced->text}});
  Result<void> result;
  if (search->read_errors)
    result = Error{Status::Fail, fmt::format("segment {} is partly unreadable", file_name(search->place.segment))};
  search->done(result);
  unpin(search->place);
}

// `synced`: if nobody fills it, how far the segment was on stable storage: what is broken below that is damage.
void StoreImpl::consider_found(Segment &segment, const FoundCommit &found, Body body,
                               std::optional<std::uint64_t> synced, const OnCommit &committed) {
  const auto &message = found.message;
  const auto offset = message.commit.offset;
  if (!found.intact) {
    if (!synced || offset >= *synced) return;  // a fragment of what was never acknowledged
    const auto first =
        found.body_elsewhere ? message.envelope.offset : std::min(message.envelope.offset, message.body.offset);
    report_damaged(segment, message, "records");
    set_aside("message-" + to_string(message.id), segment, first - kRecordHeader, offset + message.commit.length);
    if (found.body_elsewhere) set_body_aside(message);
    return;
  }
  if (body == Body::Unreadable || (found.body_elsewhere && unreadable_.contains(message.body.segment))) {
    // The recovery alone knows what was said of it: later it would seem to be new.
    if (!synced && !segment.unread) return;
    if (finding_) ++finding_->out.corrupt_records;
    log_.error("message partly unreadable: kept", {{"qid", message.id}, {"body_segment", message.body.segment}});
    if (auto *large = find(message.body)) keep_unreadable(*large);
    return keep_unreadable(segment);
  }
  // A large body's segment is given up only after its message was done and that was synced: the queue knows if it was,
  // or says what it misses. Or, with Durability::Process, a power cut left a fragment.
  const bool nowhere = found.body_elsewhere && !find(message.body);
  if (!found.commit.body_synced && (nowhere || body == Body::Broken)) {
    if (segment.commits.known(offset)) retired({message.commit.segment, message.commit.epoch, offset});
    return;
  }
  auto envelope = decode_envelope(found.envelope);
  if (envelope && body == Body::Intact) {
    learn(segment, message);
    committed(message, std::move(*envelope));
    return;
  }
  if (!synced) return;
  report_damaged(segment, message, envelope ? "body" : "envelope");
  const auto name = "message-" + to_string(message.id);
  bool aside = set_aside(name, segment, std::min(message.envelope.offset, offset) - kRecordHeader,
                         offset + message.commit.length);
  if (found.body_elsewhere) aside = set_body_aside(message) && aside;
  if (!aside || body != Body::Broken) return;
  // That is all that will be done with it. Until a checkpoint says so its body's segment is kept, or the next start
  // would find a message whose body is nowhere.
  learn(segment, message);
  segment.commits.set(offset, CommitState::Retiring);
  until_checkpoint_.push_back({message.commit.segment, message.commit.epoch, offset});
}

// It lies in a segment of its own, and nobody else will ask for it.
bool StoreImpl::set_body_aside(const Committed &message) {
  auto *large = find(message.body);
  if (!large) return true;
  large->cited = true;
  return set_aside("message-" + to_string(message.id) + "-body", *large, kFirstRecord, large->size);
}

void StoreImpl::report_damaged(const Segment &segment, const Committed &message, std::string_view part) {
  damaged_ = true;
  if (finding_) ++finding_->out.corrupt_records;
  log_.error("message damaged: set aside", {{"qid", message.id},
                                            {"segment", segment.header.number},
                                            {"offset", message.commit.offset},
                                            {"part", part},
                                            {"body_segment", message.body.segment},
                                            {"body_epoch", message.body.epoch}});
}

}  // namespace mansio::spool
