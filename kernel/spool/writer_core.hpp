// The writer's inside: segments in hand, messages that wait, the group commit. Shared by writer and drafts.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/spool/batch.hpp"
#include "kernel/spool/io_thread.hpp"
#include "kernel/spool/wait.hpp"
#include "kernel/spool/writer.hpp"

namespace mansio::spool {

// A share of the memory for bodies.
class Held {
 public:
  explicit Held(std::shared_ptr<class WriterCore> core) : core_(std::move(core)) {}
  // NOLINTNEXTLINE(performance-move-constructor-init): the other one may take a share again
  Held(Held &&from) noexcept : core_(from.core_), bytes_(std::exchange(from.bytes_, 0)) {}
  Held(const Held &) = delete;
  Held &operator=(const Held &) = delete;
  Held &operator=(Held &&) = delete;
  ~Held();
  void add(std::uint64_t n);

 private:
  std::shared_ptr<class WriterCore> core_;
  std::uint64_t bytes_ = 0;
};

class WriterCore : public std::enable_shared_from_this<WriterCore> {
 public:
  WriterCore(asio::io_context &loop, Logger &log, SegmentSource &source, WriterOptions options, Turns *turns = nullptr);

  Task<Result<MessageId>> reserve_id();
  Task<Result<Committed>> commit(std::shared_ptr<Pending> message);
  // In one batch, and so all or none.
  Task<Result<std::vector<Committed>>> commit(std::vector<std::shared_ptr<Pending>> messages);
  bool ready() const;
  void close();
  void shut();  // the Writer is gone: nothing of the caller's may be touched any more
  std::uint64_t syncs() const { return syncs_; }

  Result<OpenSegment> take(SegmentGrant grant);  // checks the header and reads the salt
  void give_back(const FileHeader &header, std::uint64_t bad_from);
  const WriterOptions &options() const { return options_; }
  asio::io_context &loop() { return loop_; }
  SegmentSource *source() { return source_; }
  IoThread *bulk();                                                          // large bodies; nullptr after shut()
  const std::shared_ptr<io::MemfdStock> &memfds() const { return memfds_; }  // for copies of messages
  void count_sync() { ++syncs_; }

  // Bytes of bodies in memory, over all drafts and commits.
  void hold(std::uint64_t n) { held_ += n; }
  void release(std::uint64_t n) { held_ -= n; }
  std::uint64_t held() const { return held_; }
  bool tight() const { return options_.memory != 0 && held_ > options_.memory; }

 private:
  Task<Result<void>> acquire();
  void fetch();
  Task<> fetch_one(std::uint64_t least);
  void pump(bool fetch_failed = false);
  bool worth_waiting();
  void submit(Batch batch);
  void written();
  void finished(std::uint64_t end, bool synced, const Result<void> &result);
  void sync_soon();
  void seal_current();
  void resolve(Pending &message, Result<Committed> result);
  void fail_pending(const Error &error);

  asio::io_context &loop_;
  Logger *log_;
  SegmentSource *source_;
  WriterOptions options_;
  std::unique_ptr<io::FileSystem> own_files_;
  io::FileSystem *files_;

  std::optional<OpenSegment> current_, spare_;
  bool fetching_ = false;
  bool closing_ = false;
  std::uint64_t need_ = 0;  // bytes of a message that no ordinary segment holds
  std::shared_ptr<Event> fetched_ = std::make_shared<Event>();
  std::optional<Error> fetch_error_;

  std::vector<std::shared_ptr<Pending>> pending_;
  std::vector<std::shared_ptr<Pending>> in_flight_;
  bool busy_ = false;  // a batch is with the sync thread
  bool batch_timer_set_ = false, batch_timer_over_ = false;
  std::uint64_t held_ = 0;
  std::size_t peak_ = 0;  // sessions that commit at about the same time, lately
  std::uint64_t syncs_ = 0;
  asio::steady_timer batch_timer_, sync_timer_;
  bool sync_timer_set_ = false;

  const std::shared_ptr<io::MemfdStock> memfds_ = std::make_shared<io::MemfdStock>();
  Turns *const turns_;
  std::unique_ptr<IoThread> thread_, bulk_;
};

std::unique_ptr<Writer> make_writer(std::shared_ptr<WriterCore> core);

inline Held::~Held() { core_->release(bytes_); }
inline void Held::add(std::uint64_t n) {
  core_->hold(n);
  bytes_ += n;
}

}  // namespace mansio::spool
