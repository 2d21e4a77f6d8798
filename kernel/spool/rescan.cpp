// What a writer left unsaid: a segment looked through for commits that were never admitted, while mail goes on. The
// thread reads; what was admitted meanwhile is sorted out on the loop afterwards.
#include <fmt/format.h>

#include "kernel/spool/store_impl.hpp"

namespace mansio::spool {

struct StoreImpl::Scanning {
  struct Found {
    Committed message;
    Envelope envelope;
    CommitPayload commit;
    bool elsewhere = false, intact = true;  // its body; intact: as far as looked at
    FileHeader large;                       // of the segment it lies in, and that one's file
    std::shared_ptr<io::File> file;
  };
  Place place;
  FileHeader header;
  std::uint64_t bad_from = 0;
  std::shared_ptr<io::File> file;
  Commits known;  // as of the beginning
  std::vector<Found> found;
  bool large = false, read_errors = false;
  OnCommit committed;
  std::function<void(Result<void>)> done;
};

void StoreImpl::scan(std::uint32_t number, std::uint32_t epoch, OnCommit committed,
                     std::function<void(Result<void>)> done) {
  auto *segment = find(number, epoch);
  Result<std::shared_ptr<io::File>> file = std::shared_ptr<io::File>{};
  if (segment) file = file_of(*segment);
  if (!segment || !file || !thread_) {
    Result<void> result;
    if (!file) result = file.error();
    return asio::post(loop_, [result, done = std::move(done)] { done(result); });
  }
  const auto scanning = std::make_shared<Scanning>();
  scanning->place = {number, epoch, 0, 0};
  scanning->header = segment->header;
  scanning->bad_from = segment->bad_from;
  scanning->file = *file;
  scanning->known = segment->commits;
  scanning->committed = std::move(committed);
  scanning->done = std::move(done);
  pin(scanning->place);
  thread_->run(
      [scanning] {
        auto &s = *scanning;
        FileBytes bytes{*s.file};
        s.large = holds_large_body(bytes, s.header);
        if (!s.large)
          find_messages(bytes, s.header, s.bad_from, true, [&](const FoundCommit &c) {
            const auto at = c.message.commit.offset;
            if (!c.intact || (s.known.known(at) && s.known.state(at) != CommitState::Seen)) return;
            auto envelope = decode_envelope(c.envelope);
            if (envelope)
              s.found.push_back({c.message, std::move(*envelope), c.commit, c.body_elsewhere, true, {}, {}});
          });
        s.read_errors = bytes.read_errors();
      },
      [this, scanning] { look_at_bodies(scanning); });
}

// Large bodies are found by the loop and read by the thread, pinned meanwhile.
void StoreImpl::look_at_bodies(std::shared_ptr<Scanning> scanning) {
  bool any = false;
  for (auto &found : scanning->found) {
    if (!found.elsewhere) continue;
    auto *large = find(found.message.body);
    Result<std::shared_ptr<io::File>> file = Error{Status::NotFound, "the segment was recycled"};
    if (large) file = file_of(*large);
    found.intact = file.ok();
    if (!file) continue;
    found.large = large->header;
    found.file = *file;
    pin(found.message.body);
    any = true;
  }
  if (!any) return scanned(*scanning);
  thread_->run(
      [scanning] {
        for (auto &found : scanning->found) {
          if (!found.file) continue;
          FileBytes bytes{*found.file};
          found.intact = large_body_intact(bytes, found.large, found.message, found.commit);
        }
      },
      [this, scanning] { scanned(*scanning); });
}

void StoreImpl::scanned(Scanning &scanning) {
  if (auto *segment = find(scanning.place); segment && scanning.large) segment->large = true;
  for (const auto &found : scanning.found) {
    const auto *segment = find(found.message.commit);
    const auto at = found.message.commit.offset;
    if (!segment || !found.intact || (segment->bad_from != 0 && at >= segment->bad_from)) continue;
    const bool admitted = segment->commits.known(at) && segment->commits.state(at) != CommitState::Seen;
    if (!admitted) scanning.committed(found.message, found.envelope);
  }
  for (const auto &found : scanning.found)
    if (found.file) unpin(found.message.body);
  Result<void> result;
  if (scanning.read_errors)
    result = Error{Status::Fail, fmt::format("segment {} is partly unreadable", file_name(scanning.place.segment))};
  scanning.done(result);
  unpin(scanning.place);
}

}  // namespace mansio::spool
