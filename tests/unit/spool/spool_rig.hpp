// A store, a writer and a small queue process on a disk of the test's.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernel/spool/segment.hpp"
#include "kernel/spool/store.hpp"
#include "kernel/spool/wait.hpp"
#include "kernel/spool/writer.hpp"
#include "tests/support/fault_files.hpp"

namespace mansio::spool {

class NoLog final : public LogSink {
 public:
  void emit(LogLevel, std::string_view line) override { lines.emplace_back(line); }
  bool said(std::string_view text) const {
    for (const auto &line : lines) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }
  std::vector<std::string> lines;
};

// The queue's end of the writers' channel.
class LocalSource final : public SegmentSource {
 public:
  Store *store = nullptr;
  GrantFor use = GrantFor::NewMail;
  bool ordinary = false;                                       // whatever is asked for
  std::vector<std::pair<std::uint32_t, std::uint64_t>> seals;  // segment, bad_from
  std::vector<std::uint32_t> sealed_epochs;                    // of each

  Task<Result<SegmentGrant>> next(std::uint64_t least) override {
    if (!store) co_return Error{Status::Busy, "the queue process is away"};
    auto state = std::make_shared<State>();
    waiting_.push_back(state);
    store->grant("test.0", ordinary ? 0 : least, use,
                 [this, state](Result<SegmentGrant> grant) { answer(*state, std::move(grant)); });
    co_await state->done.wait();
    co_return std::move(*state->result);
  }
  void sealed(std::uint32_t segment, std::uint32_t epoch, std::uint64_t bad_from) override {
    seals.emplace_back(segment, bad_from);
    sealed_epochs.push_back(epoch);
    if (store) store->sealed(segment, epoch, bad_from);
  }
  void leave() {
    store = nullptr;
    for (auto &state : std::exchange(waiting_, {})) {
      if (!state->result) answer(*state, Error{Status::Busy, "the queue process is gone"});
    }
  }
  asio::io_context *loop = nullptr;
  std::size_t granted = 0;

 private:
  struct State {
    std::optional<Result<SegmentGrant>> result;
    Event done;
  };
  void answer(State &state, Result<SegmentGrant> grant) {
    granted += grant.ok();
    state.result = std::move(grant);
    state.done.set(*loop);
  }
  std::vector<std::shared_ptr<State>> waiting_;
};

struct Found {
  Committed message;
  Envelope envelope;
};

inline Envelope envelope_to(std::string address) {
  Envelope e;
  e.sender = "sender@example.com";
  e.recipients.push_back({std::move(address), {}, {}, 0, 0});
  e.routes.push_back({"relay", "[192.0.2.1]:25"});
  return e;
}

// On the disk of a rig.
inline std::string segment_file(std::uint32_t number) { return "/spool/segments/" + file_name(number); }

struct Rig {
  static StoreOptions small() {
    StoreOptions o;
    o.directory = "/spool";
    o.node = 7;
    o.segment_size = 64 * 1024;
    o.spare_segments = 1;
    o.reserve_bytes = 1 << 20;
    o.journal_sync_interval = 0;
    o.journal_rotate_bytes = 1 << 20;
    o.journal_reserve = 0;
    o.cold_reserve = 0;
    return o;
  }

  explicit Rig(io::FileSystem &f, StoreOptions store_options = small()) : files(f) {
    source.loop = &loop;
    auto opened = Store::open(loop, clock, log, files, store_options);
    if (!opened) {
      error = opened.error();
      return;
    }
    store = std::move(*opened);
    auto r = store->recover([this](std::string_view entry) { entries.emplace_back(entry); });
    bool all = false;
    if (r) {
      store->find_mail(
          [this](const Committed &message, const Envelope &envelope) {
            found.push_back({message, envelope});
          },
          [&](const Recovered &what) {
            recovered = what;
            all = true;
          });
      if (!run_until([&] { return all; })) r = Error{Status::Internal, "recovery does not end"};
    }
    if (!r) {
      error = r.error();
      store.reset();
      return;
    }
    source.store = store.get();
  }
  Rig(const Rig &) = delete;
  Rig &operator=(const Rig &) = delete;
  ~Rig() {
    writer.reset();
    source.leave();
    poll();
    store.reset();
    poll();
  }

  void open_writer(WriterOptions o = {}) {
    o.files = &files;
    writer = Writer::create(loop, clock, log, source, o);
  }

  void poll() {
    loop.restart();
    loop.poll();
  }
  // Runs the loop until `done`; the limit only keeps a broken test from hanging.
  template <class Done>
  bool run_until(Done done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    loop.restart();
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      if (loop.run_one_for(std::chrono::milliseconds{100}) == 0) loop.restart();
    }
    return true;
  }
  template <class T>
  T wait(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    asio::co_spawn(loop, keep(std::move(task), result), asio::detached);
    EXPECT_TRUE(run_until([&] { return result->has_value(); }));
    return std::move(**result);
  }
  template <class T>
  static Task<> keep(Task<T> task, std::shared_ptr<std::optional<T>> to) {
    to->emplace(co_await std::move(task));
  }

  // Starts it and goes on.
  void spawn(Task<Result<Committed>> task, std::function<void(Result<Committed>)> then) {
    asio::co_spawn(loop, call(std::move(task), std::move(then)), asio::detached);
  }
  static Task<> call(Task<Result<Committed>> task, std::function<void(Result<Committed>)> then) {
    then(co_await std::move(task));
  }

  Task<Result<Committed>> send(std::string body, Durability durability = Durability::Power,
                               std::string prefix = "Received: x\r\n", std::string to = "user@example.net") {
    auto id = co_await writer->reserve_id();
    if (!id) co_return id.error();
    auto draft = writer->begin();
    for (std::size_t i = 0; i < body.size(); i += 10000) {
      const auto part = body.substr(i, 10000);
      auto r = co_await draft->append(part);
      if (!r) co_return r.error();
    }
    const auto envelope = envelope_to(std::move(to));
    auto committed = co_await writer->commit(*id, prefix, std::move(draft), envelope, durability);
    co_return committed;
  }
  // Of this segment: the ids of commits that are not admitted. `admitting`: they are now.
  std::vector<MessageId> scan(const Place &place, bool admitting = false) {
    std::vector<MessageId> ids;
    bool ended = false;
    store->scan(
        place.segment, place.epoch, false,
        [&](const Committed &message, const Envelope &) {
          ids.push_back(message.id);
          if (admitting) store->admit(message);
        },
        [&](const Result<void> &result) { ended = result.ok(); });
    EXPECT_TRUE(run_until([&] { return ended; }));
    return ids;
  }
  std::string body_of(const Committed &message) {
    auto bytes = store->read(message.body, 0, message.body.length);
    return bytes ? *bytes : "error: " + bytes.error().text;
  }
  std::size_t granted() const { return source.granted; }
  bool finish_journal() {
    const auto last = store->journal("mark");
    return run_until([&] { return store->synced_sequence() >= last; });
  }
  void done(const Committed &message) {
    store->retire(message.commit, store->journal("done " + to_string(message.id)));
  }

  io::FileSystem &files;
  asio::io_context loop;
  SystemClock clock;
  NoLog sink;
  Logger log{sink, clock, "test", LogLevel::Debug};
  LocalSource source;
  std::unique_ptr<Store> store;
  std::unique_ptr<Writer> writer;
  Recovered recovered;
  std::vector<std::string> entries;
  std::vector<Found> found;
  std::optional<Error> error;
};

}  // namespace mansio::spool
