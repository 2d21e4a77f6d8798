// Writers: ingress and router processes, which own the segments they fill. A notice is only a hint; whenever one
// may be missing the segment is scanned, and admission is idempotent.
#include <utility>

#include "kernel/queue/core.hpp"
#include "kernel/spool/segment.hpp"

namespace mansio::queue {

void QueueCore::on_segment_request(Connection &c, const wire::SegmentRequest &request) {
  const auto use = c.peer.kind == wire::RoleKind::Router ? spool::GrantFor::Bounces : spool::GrantFor::NewMail;
  store_.grant(c.peer.name, request.least, use,
               [this, id = c.id, number = request.request](Result<spool::SegmentGrant> grant) {
                 auto *writer = find(id);
                 wire::SegmentReply reply;
                 reply.request = number;
                 std::vector<io::UniqueFd> fds;
                 if (grant) {
                   reply.node = grant->node;
                   reply.segment = grant->segment;
                   reply.epoch = grant->epoch;
                   reply.size = grant->size;
                   fds.push_back(std::move(grant->fd));
                   if (writer) adopt(*writer, {reply.segment, reply.epoch});
                 } else {
                   reply.status = grant.error().status;
                   reply.text = grant.error().text;
                 }
                 const bool sent = writer && writer->link && writer->link->send(reply, std::move(fds));
                 if (!grant || sent) return;
                 if (writer)
                   take_back(*writer, {reply.segment, reply.epoch}, 0);  // it never got it
                 else
                   store_.sealed(reply.segment, reply.epoch, 0);
               });
}

// A segment in a writer's hands is pinned: whatever is retired in it, it must not be filled anew meanwhile.
void QueueCore::adopt(Connection &c, const Segment &segment) {
  if (!looked_again_) named_.insert(segment);
  if (c.segments.insert(segment).second) store_.pin({segment.first, segment.second, 0, 0});
}

void QueueCore::take_back(Connection &c, const Segment &segment, std::uint64_t bad_from) {
  store_.sealed(segment.first, segment.second, bad_from);
  if (c.segments.erase(segment) > 0) store_.unpin({segment.first, segment.second, 0, 0});
  vouched(segment);
}

void QueueCore::on_segment_sealed(Connection &c, const wire::SegmentSealed &sealed) {
  // kFirstRecord: it was never used, or so little that the writer alone had something to say about it.
  if (sealed.bad_from > spool::kFirstRecord)
    log_.error(
        "segment given up after a write error: look at the disk",
        {{"peer", c.peer.name}, {"segment", sealed.segment}, {"epoch", sealed.epoch}, {"from", sealed.bad_from}});
  take_back(c, {sealed.segment, sealed.epoch}, sealed.bad_from);
}

// `then` runs when everything in it is admitted; whole: all of it could be read. The reading takes its time elsewhere;
// the queue waits for nobody.
void QueueCore::scan(const Segment &segment, Scanned then, bool over) {
  ++counters_.scans;
  store_.scan(
      segment.first, segment.second, over,
      [this](const spool::Committed &at, Envelope &&e) { found(at, std::move(e), false); },
      [this, segment, then = std::move(then)](const Result<void> &result) {
        if (!result)
          log_.error("segment scan failed",
                     {{"segment", segment.first}, {"epoch", segment.second}, {"error", result.error().text}});
        if (then) then(result.ok());
        if (wake_) wake_();
      });
}

// Scans them all. Notifications that a router wrote must be known before any is asked for again.
void QueueCore::scan_all(const Connection &c, const std::set<Segment> &segments, Scanned then, bool over) {
  const bool router = c.peer.kind == wire::RoleKind::Router;
  if (router) {
    ++router_scans_;
    refresh_capacity(route_transport_);
  }
  struct Round {
    std::size_t left;
    bool whole = true;
  };
  const auto round = std::make_shared<Round>(Round{segments.size() + 1});
  const Scanned one = [this, round, router, then = std::move(then)](bool whole) {
    round->whole = round->whole && whole;
    if (--round->left > 0) return;
    if (then) then(round->whole);
    if (!router || --router_scans_ > 0) return;
    refresh_capacity(route_transport_);
    send_notifications();
  };
  for (const auto &segment : segments) scan(segment, one, over);
  one(true);
}

void QueueCore::on_notice(Connection &c, wire::Notice &notice) {
  if (notice.sequence != c.sequence + 1) {
    log_.warn("notices are missing, scanning", {{"peer", c.peer.name}, {"sequence", notice.sequence}});
    for (const auto &segment : c.segments) scan(segment, nullptr);
  }
  c.sequence = notice.sequence;
  const spool::Committed at{notice.id, notice.commit, notice.envelope, notice.body};
  if (index_.find(notice.id) != kNone) return;
  auto envelope = notice.envelope_bytes.empty() ? store_.read_envelope(at) : decode_envelope(notice.envelope_bytes);
  if (envelope) return found(at, std::move(*envelope), true);
  log_.error("notice without a readable envelope, scanning", {{"qid", notice.id}, {"error", envelope.error().text}});
  scan({notice.commit.segment, notice.commit.epoch}, nullptr);
}

void QueueCore::on_writer_hello(Connection &c, const wire::WriterHello &hello) {
  c.hello = true;
  c.answer_by = 0;
  c.sequence = 0;
  for (const auto &s : hello.given_up) store_.give_up(s.segment, s.epoch, s.bad_from);
  for (const auto &segment : hello.segments) adopt(c, segment);
  ++hello_scans_;
  scan_all(c, {hello.segments.begin(), hello.segments.end()}, [this](bool) {
    --hello_scans_;
    look_again();
  });
  check_gates();
}

// Every writer that lives has named what it fills, and that was read. What others had open at our start, or a COMMIT of
// what they had, may have been written since we looked.
void QueueCore::look_again() {
  if (!retire_open_ || hello_scans_ > 0 || std::exchange(looked_again_, true)) return;
  store_.look_again(
      std::exchange(named_, {}), [this](const spool::Committed &at, Envelope &&e) { found(at, std::move(e), false); },
      [this] {
        adopt_notifications();
        --router_scans_;
        refresh_capacity(route_transport_);
        send_notifications();
        if (wake_) wake_();
      });
}

// Its segments stay pinned until all are scanned: only then is it known which large bodies were never committed.
void QueueCore::writer_dead(Connection &c) {
  const auto segments = std::exchange(c.segments, {});
  scan_all(
      c, segments,
      [this, segments](bool whole) {
        for (const auto &[segment, epoch] : segments) {
          if (whole)
            store_.orphaned(segment, epoch);
          else
            store_.sealed(segment, epoch, 0);
          vouched({segment, epoch});
          store_.unpin({segment, epoch, 0, 0});
        }
      },
      true);
}

// Until every living writer has said which segments it fills, none may look finished.
void QueueCore::retire(const spool::Place &commit, std::uint64_t sequence) {
  if (retire_open_) return store_.retire(commit, sequence);
  retire_later_.emplace_back(commit, sequence);
}

}  // namespace mansio::queue
