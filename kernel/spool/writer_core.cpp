// Group commit. Everything but write and sync themselves happens on the loop, so there is nothing to lock.
#include "kernel/spool/writer_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace mansio::spool {
namespace {

Error deferred(std::string text) { return {Status::Defer, std::move(text), {4, 3, 0}}; }

// What a segment is given up from. kFirstRecord would say that nothing in it is of use, but what Durability::Process
// was promised is there as long as the kernel lives.
std::uint64_t bad_from(const OpenSegment &segment) { return std::max(segment.synced, kFirstRecord + 8); }

}  // namespace

WriterCore::WriterCore(asio::io_context &loop, Logger &log, SegmentSource &source, WriterOptions options, Turns *turns)
    : loop_(loop),
      log_(&log),
      source_(&source),
      options_(options),
      own_files_(options.files ? nullptr : io::system_files()),
      files_(options.files ? options.files : own_files_.get()),
      batch_timer_(loop),
      sync_timer_(loop),
      turns_(turns),
      thread_(std::make_unique<IoThread>(loop, true, turns)) {}

bool WriterCore::ready() const {
  return spare_ || (current_ && current_->header.size - current_->end >= current_->header.size / 8);
}

IoThread *WriterCore::bulk() {
  if (!bulk_ && thread_) bulk_ = std::make_unique<IoThread>(loop_, true, turns_);
  return bulk_.get();
}

Result<OpenSegment> WriterCore::take(SegmentGrant grant) {
  OpenSegment segment;
  segment.file = files_->adopt(std::move(grant.fd), fmt::format("segment {}", file_name(grant.segment)));
  std::string page(kPage, '\0');
  if (auto n = segment.file->read_at(0, page.data(), page.size()); !n) return n.error();
  auto header = parse_header(page);
  if (!header) return header.error();
  if (header->number != grant.segment || header->epoch != grant.epoch || grant.epoch == 0) {
    return Error{Status::Internal,
                 fmt::format("segment {}: granted epoch {}, found {}", grant.segment, grant.epoch, header->epoch)};
  }
  segment.header = *header;
  segment.header.size = grant.size;
  return segment;
}

void WriterCore::give_back(const FileHeader &header, std::uint64_t bad_from) {
  if (source_) source_->sealed(header.number, header.epoch, bad_from);
}

// ---- segments ----------------------------------------------------------------------------------------------

void WriterCore::fetch() {
  if (fetching_ || closing_ || !source_ || spare_) return;
  fetching_ = true;
  asio::co_spawn(loop_, fetch_one(need_), asio::detached);
}

Task<> WriterCore::fetch_one(std::uint64_t least) {
  auto self = shared_from_this();
  auto grant = co_await source_->next(least);
  if (!source_) co_return;
  fetching_ = false;
  fetch_error_.reset();
  if (grant && grant->size < least) {
    source_->sealed(grant->segment, grant->epoch, kFirstRecord);
    fetch_error_ = Error{Status::Internal, fmt::format("asked for a segment of {} bytes, got {}", least, grant->size)};
  } else if (grant) {
    const auto number = grant->segment, epoch = grant->epoch;
    auto segment = take(std::move(*grant));
    if (segment && !closing_) {
      spare_ = std::move(*segment);
    } else {
      if (!segment) {
        fetch_error_ = segment.error();
        log_->error("granted segment unusable", {{"segment", number}, {"error", fetch_error_->text}});
      }
      source_->sealed(number, epoch, kFirstRecord);
    }
  } else {
    fetch_error_ = grant.error();
  }
  auto event = std::exchange(fetched_, std::make_shared<Event>());
  event->set(loop_);
  pump(fetch_error_.has_value());
}

Task<Result<void>> WriterCore::acquire() {
  auto self = shared_from_this();
  for (;;) {
    if (!source_ || closing_) co_return deferred("the spool writer is closing");
    if (current_ && current_->sequence < MessageId::kMaxSequence) co_return Result<void>{};
    if (spare_ && !busy_) {
      seal_current();
      current_ = std::exchange(spare_, std::nullopt);
      fetch();
      continue;
    }
    if (spare_) {
      if (spare_->sequence < MessageId::kMaxSequence) co_return Result<void>{};
      co_return deferred("ids exhausted");
    }
    const auto event = fetched_;
    fetch();
    co_await event->wait();
    if (!current_ && !spare_) co_return fetch_error_.value_or(deferred("no spool segment"));
  }
}

Task<Result<MessageId>> WriterCore::reserve_id() {
  if (auto r = co_await acquire(); !r) co_return r.error();
  auto &segment = current_ && current_->sequence < MessageId::kMaxSequence ? *current_ : *spare_;
  co_return MessageId::make(segment.header.node, segment.header.epoch, ++segment.sequence);
}

void WriterCore::seal_current() {
  if (!current_) return;
  auto segment = std::exchange(current_, std::nullopt);
  if (segment->end == kFirstRecord) return give_back(segment->header, kFirstRecord);
  // The seal's page tells a later reader that nothing may be missing before it. It needs no sync of its own,
  // but what Durability::Process left unsynced does.
  auto result = std::make_shared<Result<void>>();
  auto file = segment->file;
  const auto end = segment->end, size = segment->header.size;
  const bool dirty = segment->synced < end;
  const auto failed_from = bad_from(*segment);
  std::string page;
  append_record(page, RecordSeal{segment->header}, RecordType::Seal, 0, encode_seal(end));
  page.append(kPage - page.size(), '\0');
  if (dirty) ++syncs_;
  thread_->run(
      [=] {
        if (dirty) *result = file->data_sync();
        if (*result && end + kPage <= size) (void)file->write_at(end, page);
      },
      [this, self = shared_from_this(), result, header = segment->header, failed_from, file]() mutable {
        file.reset();
        give_back(header, *result ? 0 : failed_from);
      });
}

// ---- group commit --------------------------------------------------------------------------------------------

Task<Result<Committed>> WriterCore::commit(std::shared_ptr<Pending> message) {
  auto self = shared_from_this();
  if (!source_ || closing_) co_return deferred("the spool writer is closing");
  pending_.push_back(message);
  pump();
  co_await message->done.wait();
  co_return *message->result;
}

Task<Result<std::vector<Committed>>> WriterCore::commit(std::vector<std::shared_ptr<Pending>> messages) {
  auto self = shared_from_this();
  if (!source_ || closing_) co_return deferred("the spool writer is closing");
  messages.front()->together = messages.size();
  pending_.insert(pending_.end(), messages.begin(), messages.end());
  pump();
  std::vector<Committed> committed;
  committed.reserve(messages.size());
  for (const auto &message : messages) {
    co_await message->done.wait();
    if (!*message->result) co_return message->result->error();
    committed.push_back(**message->result);
  }
  co_return committed;
}

void WriterCore::resolve(Pending &message, Result<Committed> result) {
  if (message.result) return;
  message.result = std::move(result);
  message.done.set(loop_);
}

void WriterCore::fail_pending(const Error &error) {
  for (auto &message : std::exchange(pending_, {})) resolve(*message, error);
}

// More sessions committed at about the same time lately than are waiting now: their next message is likely
// to come within the wait, and every one that does saves a sync.
bool WriterCore::worth_waiting() {
  if (batch_timer_over_ || closing_ || options_.max_batch_wait <= 0) return false;
  if (pending_.size() * 5 >= peak_ * 4) return false;
  if (std::all_of(pending_.begin(), pending_.end(), [](const auto &p) { return p->durability == Durability::Process; }))
    return false;
  if (!batch_timer_set_) {
    batch_timer_set_ = true;
    batch_timer_.expires_after(std::chrono::nanoseconds{options_.max_batch_wait});
    batch_timer_.async_wait([self = shared_from_this()](ErrorCode error) {
      if (error) return;
      self->batch_timer_set_ = false;
      self->batch_timer_over_ = true;
      self->pump();
    });
  }
  return true;
}

void WriterCore::pump(bool fetch_failed) {
  if (busy_ || !source_) return;
  if (pending_.empty()) {
    if (closing_) {
      seal_current();
      if (spare_) give_back(std::exchange(spare_, std::nullopt)->header, kFirstRecord);
    }
    return;
  }
  if (worth_waiting()) return;
  if (batch_timer_set_) {
    batch_timer_.cancel();
    batch_timer_set_ = false;
  }
  if (batch_timer_over_) peak_ -= peak_ > pending_.size() ? std::max<std::size_t>(1, (peak_ - pending_.size()) / 4) : 0;
  batch_timer_over_ = false;

  while (!pending_.empty()) {
    if (current_) {
      auto batch = lay_out(*current_, pending_);
      if (!batch.messages.empty()) return submit(std::move(batch));
      // Larger than an ordinary segment: ask for one that holds it.
      if (current_->end == kFirstRecord) need_ = kFirstRecord + round_up(space_of_first(pending_), kPage);
    }
    if (spare_ && spare_->header.size < need_) give_back(std::exchange(spare_, std::nullopt)->header, kFirstRecord);
    if (!spare_) {
      if (!fetch_failed) return fetch();
      if (need_ == 0) return fail_pending(*fetch_error_);
      const auto end = pending_.begin() + static_cast<std::ptrdiff_t>(pending_.front()->together);
      std::for_each(pending_.begin(), end, [&](const auto &message) { resolve(*message, *fetch_error_); });
      pending_.erase(pending_.begin(), end);
      need_ = 0;
      continue;
    }
    seal_current();
    current_ = std::exchange(spare_, std::nullopt);
    need_ = 0;
    fetch();
  }
}

void WriterCore::submit(Batch made) {
  busy_ = true;
  struct Job {
    Batch batch;
    Result<void> result;
    bool sync = false, early = false;
  };
  auto job = std::make_shared<Job>();
  in_flight_ = std::exchange(made.messages, {});
  job->batch = std::move(made);
  for (const auto &message : in_flight_) {
    if (message->written) *message->written = true;
    (message->durability == Durability::Power ? job->sync : job->early) = true;
  }
  if (job->sync) ++syncs_;
  auto self = shared_from_this();
  thread_->run(
      [job, self = self.get()] {
        job->result = job->batch.file->write_at(job->batch.offset, job->batch.pieces);
        if (!job->result || !job->sync) return;
        if (job->early) self->thread_->tell([self] { self->written(); });
        job->result = job->batch.file->data_sync();
      },
      [job, self] { self->finished(job->batch.end, job->sync, job->result); });
}

void WriterCore::written() {
  for (const auto &message : in_flight_) {
    if (message->durability == Durability::Process) resolve(*message, message->committed);
  }
}

void WriterCore::finished(std::uint64_t end, bool synced, const Result<void> &result) {
  if (!source_) return;
  busy_ = false;
  const auto messages = std::exchange(in_flight_, {});
  // How many sessions take part: those just served and those that came meanwhile.
  peak_ = std::max(peak_ > 8 ? peak_ - 1 : peak_, messages.size() + pending_.size());
  if (messages.size() == 1 && pending_.empty()) peak_ = peak_ > 2 ? peak_ - 1 : 1;
  if (result) {
    if (synced)
      current_->synced = end;
    else
      sync_soon();
    for (const auto &message : messages) resolve(*message, message->committed);
  } else {
    const auto &header = current_->header;
    log_->error("spool segment given up", {{"segment", header.number},
                                           {"epoch", header.epoch},
                                           {"bad_from", bad_from(*current_)},
                                           {"error", result.error().text}});
    const bool full = result.error().status == Status::Busy;
    const Error error{
        full ? Status::Busy : Status::Defer, result.error().text, {4, 3, static_cast<std::uint16_t>(full ? 1 : 0)}};
    const auto failed_from = bad_from(*current_);
    const auto abandoned = header;
    current_.reset();
    give_back(abandoned, failed_from);
    for (const auto &message : messages) resolve(*message, error);
  }
  pump();
}

// What Durability::Process has written is synced soon, off everyone's path.
void WriterCore::sync_soon() {
  if (sync_timer_set_) return;
  sync_timer_set_ = true;
  sync_timer_.expires_after(std::chrono::nanoseconds{options_.process_sync_interval});
  sync_timer_.async_wait([self = shared_from_this()](ErrorCode error) {
    if (error || !self->source_) return;
    self->sync_timer_set_ = false;
    if (self->busy_) return self->sync_soon();
    if (!self->current_ || self->current_->synced >= self->current_->end) return;
    self->busy_ = true;
    ++self->syncs_;
    auto result = std::make_shared<Result<void>>();
    self->thread_->run([result, file = self->current_->file] { *result = file->data_sync(); },
                       [self, result, end = self->current_->end] { self->finished(end, true, *result); });
  });
}

void WriterCore::close() {
  closing_ = true;
  pump();
}

void WriterCore::shut() {
  closing_ = true;
  source_ = nullptr;
  batch_timer_.cancel();
  sync_timer_.cancel();
  bulk_.reset();
  thread_.reset();
  const auto gone = deferred("the spool writer is gone");
  fail_pending(gone);
  for (const auto &message : std::exchange(in_flight_, {})) resolve(*message, gone);
  current_.reset();
  spare_.reset();
  fetched_->set(loop_);
}

}  // namespace mansio::spool
