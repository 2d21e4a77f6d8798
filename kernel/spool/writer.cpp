// Drafts, and the Writer's face. A draft keeps its bytes in memory until they are too many; then they stream
// into a segment of their own, behind room for the trace headers that are not yet known.
#include "kernel/spool/writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "kernel/base/crc32c.hpp"
#include "kernel/io/memfd.hpp"
#include "kernel/spool/writer_core.hpp"

namespace mansio::spool {
namespace {

constexpr std::uint64_t kBodyStart = kFirstRecord + kRecordHeader + kPrefixRoom;  // of a large body
constexpr std::size_t kChunk = 256 * 1024;                                        // written at once
// When memory is short: what a body may keep of it, so that ordinary mail costs no file of its own even then.
constexpr std::size_t kTight = 64 * 1024;
constexpr std::uint64_t kLongestBody = UINT32_MAX - kPrefixRoom;  // a record's length has 32 bits

// The segment of one large body. Whoever drops it last has it sealed: useless, unless a COMMIT that cites it may have
// reached the disk, whatever became of the session.
struct LargeBody {
  std::shared_ptr<WriterCore> core;
  OpenSegment segment;
  std::uint32_t crc = 0;
  bool cited = false;

  LargeBody(std::shared_ptr<WriterCore> c, OpenSegment s) : core(std::move(c)), segment(std::move(s)) {}
  LargeBody(const LargeBody &) = delete;
  LargeBody &operator=(const LargeBody &) = delete;
  ~LargeBody() {
    segment.file.reset();
    core->give_back(segment.header, cited ? 0 : kFirstRecord);
  }
};

using Work = std::function<Result<void>()>;

// Runs `work` on the thread for large bodies.
Task<Result<void>> in_bulk(std::shared_ptr<WriterCore> core, Work work) {
  auto *thread = core->bulk();
  if (!thread) co_return Error{Status::Defer, "the spool writer is gone", {4, 3, 0}};
  struct State {
    Result<void> result;
    Event done;
  };
  auto state = std::make_shared<State>();
  thread->run([state, work = std::move(work)] { state->result = work(); },
              [state, core] { state->done.set(core->loop()); });
  co_await state->done.wait();
  co_return state->result;
}

// `head`, what lies in `file` from `at` to `end`, and `tail` after it.
Result<io::Memfd> copy_of(io::MemfdStock &memfds, std::string_view head, io::File *file, std::uint64_t at,
                          std::uint64_t end, std::string_view tail) {
  auto memfd = memfds.take();
  if (!memfd) return memfd.error();
  if (auto written = memfd->write(head); !written) return written.error();
  std::string block(file ? std::min<std::uint64_t>(kChunk, end - at) : 0, '\0');
  while (file && at < end) {
    const auto n = file->read_at(at, block.data(), std::min<std::uint64_t>(block.size(), end - at));
    if (!n) return n.error();
    if (*n == 0) return Error{Status::Defer, "the segment ends before the message", {4, 3, 0}};
    if (auto written = memfd->write({block.data(), *n}); !written) return written.error();
    at += *n;
  }
  if (auto written = memfd->write(tail); !written) return written.error();
  return memfd;
}

std::shared_ptr<const void> share(const std::shared_ptr<WriterCore> &core, std::uint64_t bytes) {
  if (core->tight() && bytes > kTight) return nullptr;
  auto held = std::make_shared<Held>(core);
  held->add(bytes);
  return held;
}

class DraftImpl final : public Draft {
 public:
  explicit DraftImpl(std::shared_ptr<WriterCore> core) : core_(std::move(core)), held_(core_) {}

  Task<Result<void>> append(std::string_view bytes) override {
    if (size_ + bytes.size() > kLongestBody)
      co_return Error{Status::Fail, "message too large for the spool", {5, 3, 4}};
    buffer_.append(bytes);
    size_ += bytes.size();
    held_.add(bytes.size());
    const bool tight = core_->tight();
    const auto most = core_->options().large_body;
    if (!large_ && size_ <= (tight ? std::min<std::uint64_t>(most, kTight) : most)) co_return Result<void>{};
    if (!large_) {
      auto grown = co_await grow();
      if (!grown && size_ <= most) {
        Error full{Status::Busy, "no memory for the message, and no segment: " + grown.error().text, {4, 3, 1}};
        co_return full;
      }
      if (!grown) co_return grown;
    }
    if (buffer_.size() >= (tight ? kTight : kChunk)) co_return co_await flush();
    co_return Result<void>{};
  }

  Task<Result<DraftCopy>> copy(Head head) override {
    std::string before;
    if (head) before = head(crc32c(buffer_, large_ ? large_->crc : 0), size_);
    auto held = share(core_, before.size() + size_);
    if (!held) co_return Error{Status::Busy, "no memory for a copy of the message", {4, 3, 1}};
    const auto copy = std::make_shared<DraftCopy>();
    copy->keep = std::move(held);
    if (!large_) {
      auto made = copy_of(*core_->memfds(), before, nullptr, 0, 0, buffer_);
      if (!made) co_return made.error();
      copy->content = std::move(*made);
      co_return std::move(*copy);
    }
    Work work = [large = large_, copy, memfds = core_->memfds(), before = std::move(before), end = large_->segment.end,
                 tail = buffer_]() -> Result<void> {
      auto made = copy_of(*memfds, before, large->segment.file.get(), kBodyStart, end, tail);
      if (!made) return made.error();
      copy->content = std::move(*made);
      return {};
    };
    auto done = co_await in_bulk(core_, std::move(work));
    if (!done) co_return done.error();
    co_return std::move(*copy);
  }

  std::uint64_t size() const override { return size_; }

  // Writes what is left, the trace headers before it and the record header before them.
  Task<Result<LargePlace>> finish(MessageId id, std::string prefix, bool sync) {
    if (prefix.size() > kPrefixRoom) co_return Error{Status::Fail, "trace headers too long for the spool", {5, 3, 4}};
    if (auto r = co_await flush(); !r) co_return r.error();
    RecordHeader header;
    header.type = RecordType::Body;
    header.id = id.value;
    header.gap = static_cast<std::uint16_t>(kPrefixRoom - prefix.size());
    const auto length = prefix.size() + size_;
    RecordSeal{large_->segment.header}.finish(header, length, crc32c_combine(crc32c(prefix), large_->crc, size_));
    auto head = std::make_shared<std::string>();
    append_header(*head, header);
    head->append(header.gap, '\0');
    head->append(prefix);
    if (sync) core_->count_sync();
    // (gcc 12 destroys a closure made inside a co_await expression twice; hence the names.)
    Work work = [large = large_, head, sync]() -> Result<void> {
      if (auto r = large->segment.file->write_at(kFirstRecord, *head); !r) return r;
      return sync ? large->segment.file->data_sync() : Result<void>{};
    };
    auto written = co_await in_bulk(core_, std::move(work));
    if (!written) co_return written.error();
    const auto &h = large_->segment.header;
    co_return LargePlace{{h.number, h.epoch, kBodyStart - prefix.size(), length}, header.crc, header.gap, sync};
  }

  bool large() const { return large_ != nullptr; }
  std::shared_ptr<LargeBody> large_body() const { return large_; }
  std::string take() { return std::move(buffer_); }
  std::shared_ptr<Held> take_held() { return std::make_shared<Held>(std::move(held_)); }

 private:
  Task<Result<void>> grow() {
    auto *source = core_->source();
    if (!source) co_return Error{Status::Defer, "the spool writer is gone", {4, 3, 0}};
    // The whole size is not known: the file grows past what was granted when it must.
    auto grant = co_await source->next(kBodyStart + size_ * 2);
    if (!grant) co_return grant.error();
    const auto number = grant->segment, epoch = grant->epoch;
    auto segment = core_->take(std::move(*grant));
    if (!segment) {
      if (core_->source()) core_->source()->sealed(number, epoch, kFirstRecord);
      co_return segment.error();
    }
    large_ = std::make_shared<LargeBody>(core_, std::move(*segment));
    large_->segment.end = kBodyStart;
    co_return Result<void>{};
  }

  Task<Result<void>> flush() {
    if (buffer_.empty()) co_return Result<void>{};
    if (core_->source() && core_->source()->disk_full()) {
      Error full{Status::Busy, "insufficient system storage", {4, 3, 1}};
      co_return full;
    }
    auto bytes = std::make_shared<std::string>(std::move(buffer_));
    buffer_.clear();
    const auto writing = take_held();  // until it is written
    large_->crc = crc32c(*bytes, large_->crc);
    const auto at = large_->segment.end;
    large_->segment.end += bytes->size();
    Work work = [large = large_, bytes, at] { return large->segment.file->write_at(at, *bytes); };
    co_return co_await in_bulk(core_, std::move(work));
  }

  std::shared_ptr<WriterCore> core_;
  std::string buffer_;
  Held held_;  // for the buffer
  std::uint64_t size_ = 0;
  std::shared_ptr<LargeBody> large_;
};

class WriterImpl final : public Writer {
 public:
  explicit WriterImpl(std::shared_ptr<WriterCore> core) : core_(std::move(core)) {}
  WriterImpl(const WriterImpl &) = delete;
  WriterImpl &operator=(const WriterImpl &) = delete;
  ~WriterImpl() override { core_->shut(); }

  std::unique_ptr<Draft> begin() override { return std::make_unique<DraftImpl>(core_); }
  Task<Result<MessageId>> reserve_id() override { return core_->reserve_id(); }
  bool ready() const override { return core_->ready(); }
  void close() override { core_->close(); }
  std::uint64_t syncs() const override { return core_->syncs(); }
  std::uint64_t memory() const override { return core_->held(); }
  std::shared_ptr<const void> reserve_memory(std::uint64_t bytes) override { return share(core_, bytes); }
  Result<io::Memfd> memfd() override { return core_->memfds()->take(); }

  // Not a coroutine itself: the views it is given are copied before anything waits.
  Task<Result<Committed>> commit(MessageId id, std::string_view prefix, std::unique_ptr<Draft> body,
                                 const Envelope &envelope, Durability durability) override {
    auto message = std::make_shared<Pending>();
    message->id = id;
    message->prefix = prefix;
    message->envelope = encode_envelope(envelope);
    message->durability = durability;
    return commit(core_, std::move(message), draft_of(std::move(body)));
  }

  Task<Result<std::vector<Committed>>> commit(std::vector<NewMessage> messages, Durability durability) override {
    std::vector<Unfinished> all;
    all.reserve(messages.size());
    for (auto &message : messages) {
      auto pending = std::make_shared<Pending>();
      pending->id = message.id;
      pending->prefix = std::move(message.prefix);
      pending->envelope = encode_envelope(*message.envelope);
      pending->durability = durability;
      all.emplace_back(std::move(pending), draft_of(std::move(message.body)));
    }
    return commit(core_, std::move(all));
  }

 private:
  using Unfinished = std::pair<std::shared_ptr<Pending>, std::unique_ptr<DraftImpl>>;

  static std::unique_ptr<DraftImpl> draft_of(std::unique_ptr<Draft> body) {
    return std::unique_ptr<DraftImpl>{static_cast<DraftImpl *>(body.release())};
  }

  static Task<Result<Committed>> commit(std::shared_ptr<WriterCore> core, std::shared_ptr<Pending> message,
                                        std::unique_ptr<DraftImpl> draft) {
    const auto finished = co_await finish(*message, std::move(draft));
    if (!finished) co_return finished.error();
    auto result = co_await core->commit(std::move(message));
    co_return result;
  }
  static Task<Result<std::vector<Committed>>> commit(std::shared_ptr<WriterCore> core, std::vector<Unfinished> all) {
    std::vector<std::shared_ptr<Pending>> messages;
    messages.reserve(all.size());
    for (auto &[message, draft] : all) {
      const auto finished = co_await finish(*message, std::move(draft));
      if (!finished) co_return finished.error();
      messages.push_back(std::move(message));
    }
    auto result = co_await core->commit(std::move(messages));
    co_return result;
  }

  // Its body is where its records will find it.
  static Task<Result<void>> finish(Pending &message, std::unique_ptr<DraftImpl> draft) {
    if (draft->large()) {
      auto place =
          co_await draft->finish(message.id, std::move(message.prefix), message.durability == Durability::Power);
      if (!place) {
        Error error = place.error();
        if (error.status != Status::Fail && error.status != Status::Busy) error.status = Status::Defer;
        co_return error;
      }
      message.large = *place;
      const auto large = draft->large_body();
      message.keeps = large;
      message.written = &large->cited;
    } else {
      message.body = draft->take();
      message.keeps = draft->take_held();
    }
    co_return Result<void>{};
  }

  std::shared_ptr<WriterCore> core_;
};

}  // namespace

std::unique_ptr<Writer> Writer::create(asio::io_context &loop, const Clock &, Logger &log, SegmentSource &source,
                                       WriterOptions options) {
  return make_writer(std::make_shared<WriterCore>(loop, log, source, options));
}

std::unique_ptr<Writer> make_writer(std::shared_ptr<WriterCore> core) {
  return std::make_unique<WriterImpl>(std::move(core));
}

}  // namespace mansio::spool
