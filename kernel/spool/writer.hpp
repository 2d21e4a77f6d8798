// Writer: the appending side of the spool, used by ingress and router. It owns the segments it was granted,
// makes a message durable with one group commit, and depends on nobody else while it does so.
//
// commit() returns only after body, ENVELOPE and COMMIT are on stable storage (Durability::Power), or handed
// to the kernel (Durability::Process). One sync at a time serves every waiting session, on a thread of its
// own; the next batch fills meanwhile. After EIO from a sync the segment is abandoned from the unsynced
// offset on, the waiting commits fail with Status::Defer, and the next commit uses a fresh segment.
// Bodies wait in memory until they are committed or too large for it. All drafts together have `memory` bytes; when
// they have more, each that grows goes to the disk early, so that what many slow clients can fill is bounded.
// All calls on the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/fd.hpp"
#include "kernel/io/file.hpp"
#include "kernel/io/memfd.hpp"
#include "kernel/mail/envelope.hpp"
#include "kernel/spool/place.hpp"

namespace mansio::spool {

// A fresh segment: header with this epoch written and synced, the rest preallocated.
struct SegmentGrant {
  std::uint32_t node = 0, segment = 0, epoch = 0;
  std::uint64_t size = 0;  // bytes of the file
  io::UniqueFd fd;
};

// Who grants segments: in ingress and router, the queue process over its channel.
class SegmentSource {
 public:
  virtual ~SegmentSource() = default;
  // `least`: bytes that must fit, 0 for an ordinary segment. Errors: Busy (no space, queue process away) ...
  virtual Task<Result<SegmentGrant>> next(std::uint64_t least) = 0;
  // The segment will not be written any more (full, or abandoned after an error at `bad_from`; 0 = none).
  // `bad_from` = kFirstRecord: nothing in it is of use, as for a large body that was never committed.
  virtual void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) = 0;
  // The disk's reserve has been reached: a large body, whose file grows as it comes, must not go on.
  virtual bool disk_full() const { return false; }
};

struct WriterOptions {
  Durability durability = Durability::Power;
  std::uint64_t large_body = 1024 * 1024;           // bodies above this get a segment of their own
  std::uint64_t memory = 0;                         // for bodies; beyond it those above 64 KiB get one too. 0: no limit
  Nanos max_batch_wait = kMillisecond;              // adaptive wait that grows batches under load
  Nanos process_sync_interval = 50 * kMillisecond;  // Durability::Process: how soon a sync follows in the background
  io::FileSystem *files = nullptr;                  // how granted descriptors are used; nullptr: the system's
};

// What a draft holds, for readers who must not see a segment.
struct DraftCopy {
  io::Memfd content;
  std::shared_ptr<const void> keep{};  // its share of the memory for bodies, for as long as it is open
};

// A body under construction: canonical CRLF form, not dot-stuffed. Dropping it discards the message.
class Draft {
 public:
  virtual ~Draft() = default;
  virtual Task<Result<void>> append(std::string_view bytes) = 0;  // may wait for a large segment or the disk
  // Makes what a copy begins with, from the checksum (CRC32C) and number of all octets that were appended.
  using Head = std::function<std::string(std::uint32_t crc, std::uint64_t size)>;
  // Of all that was appended, behind `head` (null: behind nothing). Status::Busy when the memory for bodies is used up.
  virtual Task<Result<DraftCopy>> copy(Head head) = 0;
  Task<Result<DraftCopy>> copy() { return copy(nullptr); }
  virtual std::uint64_t size() const = 0;
};

// Of messages that are committed together.
struct NewMessage {
  MessageId id;
  std::string prefix;
  std::unique_ptr<Draft> body;
  const Envelope *envelope = nullptr;
};

class Writer {
 public:
  static std::unique_ptr<Writer> create(asio::io_context &loop, const Clock &clock, Logger &log, SegmentSource &source,
                                        WriterOptions options);
  virtual ~Writer() = default;

  virtual std::unique_ptr<Draft> begin() = 0;
  // The id is chosen here, before the header section is final, because trace headers carry it. An id whose
  // draft is dropped is never used again.
  virtual Task<Result<MessageId>> reserve_id() = 0;
  // `prefix` (trace headers) goes before the body. Waits for the sync.
  virtual Task<Result<Committed>> commit(MessageId id, std::string_view prefix, std::unique_ptr<Draft> body,
                                         const Envelope &envelope, Durability durability) = 0;
  // All of them or none, in one write and one sync: after an error none of them is in the spool. (After a crash some
  // may be, as one message may be that was not answered yet.) At least one.
  virtual Task<Result<std::vector<Committed>>> commit(std::vector<NewMessage> messages, Durability durability) = 0;
  // A segment in hand: mail can be taken even if the queue process is away.
  virtual bool ready() const = 0;
  virtual void close() = 0;                           // seals; pending commits finish first
  virtual std::uint64_t syncs() const = 0;            // so far, for metrics and tests
  virtual std::uint64_t memory() const { return 0; }  // bytes of bodies held now
  // A share of the memory for bodies, for as long as it is kept; null when that is used up.
  virtual std::shared_ptr<const void> reserve_memory(std::uint64_t bytes) = 0;
  virtual Result<io::Memfd> memfd() { return io::Memfd::create("message"); }  // for a copy made elsewhere
};

}  // namespace mansio::spool
