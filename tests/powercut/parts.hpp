// Parts of a machine in a test: processes with loops and files of their own, whose threads take turns, and the
// channels between them. Everything that happens is chosen by one random sequence, so that a seed repeats it.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/log.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/channel.hpp"
#include "kernel/queue/link.hpp"
#include "kernel/queue/peers.hpp"
#include "kernel/spool/io_thread.hpp"
#include "kernel/wire/process_messages.hpp"
#include "tests/support/fault_files.hpp"
#include "tests/support/process_files.hpp"

namespace mansio::test {

using Random = std::mt19937_64;

class RandomTurns final : public spool::Turns {
 public:
  explicit RandomTurns(const Clock &clock) : clock_(clock) {}
  void later(std::function<void()> task, Nanos after) override {
    if (after > 0)
      timed_.emplace(clock_.mono() + after, std::move(task));
    else
      tasks_.push_back(std::move(task));
  }
  bool run_one(Random &random) {
    for (; !timed_.empty() && timed_.begin()->first <= clock_.mono(); timed_.erase(timed_.begin()))
      tasks_.push_back(std::move(timed_.begin()->second));
    if (tasks_.empty()) return false;
    const auto i = random() % tasks_.size();
    auto task = std::move(tasks_[i]);
    tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(i));
    task();
    return true;
  }

 private:
  const Clock &clock_;
  std::vector<std::function<void()>> tasks_;
  std::multimap<Nanos, std::function<void()>> timed_;
};

struct Frame {
  std::uint16_t type;
  std::string payload;
  std::vector<io::UniqueFd> fds;
};

// One direction of a channel.
struct Pipe {
  std::deque<Frame> frames;
  bool open = true;
  template <class M>
  bool send(const M &m, std::vector<io::UniqueFd> fds = {}) {
    if (open) frames.push_back({static_cast<std::uint16_t>(M::kType), encode(m), std::move(fds)});
    return open;
  }
};

class PipeLink final : public queue::Link {
 public:
  explicit PipeLink(std::shared_ptr<Pipe> pipe) : pipe_(std::move(pipe)) {}
  bool send_raw(std::uint16_t type, std::string_view payload, std::vector<io::UniqueFd> fds) override {
    if (pipe_->open) pipe_->frames.push_back({type, std::string{payload}, std::move(fds)});
    return pipe_->open;
  }

 private:
  std::shared_ptr<Pipe> pipe_;
};

// What happened in a run: a test of what never happens shows nothing.
struct Events {
  std::uint64_t recycled = 0, checkpoints = 0, flagged = 0, clean_starts = 0, abandoned = 0, set_aside = 0;
  std::uint64_t copied = 0;          // messages, by compaction
  std::uint64_t put_aside_used = 0;  // by compaction, for want of room
  std::uint64_t killed_inside = 0, clock_steps = 0;
  std::uint64_t damage = 0;  // that was reported: of segments, of messages or of the journal
  std::uint64_t full = 0, replaced = 0;
  std::uint64_t in_parts = 0, given_up = 0, refused = 0;  // reports of deliveries
  void note(std::string_view line) {
    const auto says = [&](std::string_view text) { return line.find(text) != std::string_view::npos; };
    recycled += says("segment recycled");
    flagged += says("mail that may have been under way may be delivered twice");
    clean_starts += says("spool recovered") && says("\"clean_stop\":true");
    abandoned += says("segment given up by its writer");
    set_aside += says(": set aside");
    // A segment whose header a cut has torn holds nothing that anyone was told of; it is set aside, for nobody can tell it
    // from one whose header has rotted.
    damage += (says("damaged") && !says("segment header damaged")) || says("commits missing from segment");
    full += says("disk reserve reached");
    put_aside_used += says("compaction takes what is put aside");
    replaced += says("segment not filled anew");
  }
};

// The last lines, for a failure's report. What a process says once the power is off means nothing: a disk without power
// cannot be read, and nothing of it is done.
class TailSink final : public LogSink {
 public:
  TailSink(Events &all, const FaultFiles &disk) : events(all), disk_(disk) {}
  void emit(LogLevel, std::string_view line) override {
    const bool counts = !disk_.dead();
    if (counts) events.note(line);
    static const bool trace = std::getenv("MANSIO_POWER_TRACE") != nullptr;
    if (trace) std::fprintf(stderr, "%.*s", static_cast<int>(line.size()), line.data());
    if (counts && line.find("message damaged: set aside") != std::string_view::npos)
      if (const auto at = line.find("\"qid\":\""); at != std::string_view::npos)
        aside.emplace(line.substr(at + 7, line.find('"', at + 7) - at - 7));
    lines.emplace_back(line);
    if (lines.size() > 40) lines.pop_front();
  }
  std::deque<std::string> lines;
  std::set<std::string> aside;  // names of messages of which the log says that their bytes are in corrupt/
  Events &events;

 private:
  const FaultFiles &disk_;
};

// What every process has.
struct Process {
  Process(FaultFiles &disk, const Clock &clock, TailSink &sink, std::string name)
      : turns(clock), files(disk), log(sink, clock, std::move(name), LogLevel::Debug) {}
  virtual ~Process() = default;
  bool poll() {
    loop.restart();
    return loop.poll_one() > 0;
  }
  asio::io_context loop;
  RandomTurns turns;
  ProcessFiles files;
  Logger log;
};

// A process at the other end of a channel to the queue.
struct Actor {
  virtual ~Actor() = default;
  wire::Peer peer;
  queue::ConnectionId connection = 0;
  std::shared_ptr<Pipe> to_queue, from_queue;  // null: the queue process is away
  virtual void attached() = 0;                 // says hello
  virtual void lost() = 0;
  virtual void receive(Frame &frame) = 0;
};

}  // namespace mansio::test
