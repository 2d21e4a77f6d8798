// Recorder: the files into which an ingress process records sessions. Sessions hand it lines and go on; a thread writes
// them. What it has not written yet is bounded, and whatever goes wrong - no disk, no room, too slow a disk - ends
// recordings and nothing else: the log says so once, and a new file is tried later.
//
// A file holds lines of many sessions in the order of time, and all lines of a session. It is begun when the one before
// it is large enough, and never written again by a later process. docs/recording-format.md says what is in it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/clock.hpp"
#include "kernel/base/log.hpp"
#include "kernel/base/result.hpp"
#include "kernel/io/asio.hpp"
#include "kernel/io/file.hpp"
#include "kernel/spool/io_thread.hpp"

namespace mansio::ingress {

// All calls on the loop's thread.
class Recorder {
 public:
  struct Options {
    std::string directory;
    std::string process;                            // "ingress.0"
    std::uint64_t size_limit = 0, total_limit = 0;  // bytes: of a file, and of all in the directory
    std::uint64_t body_limit = 0;                   // bytes of a message's body; for who makes the lines
    std::uint64_t keep_free = 0;                    // bytes on its disk that are not for recordings
    std::uint64_t memory = 8u << 20;                // bytes that may wait to be written
    Nanos rest = 60 * kSecond;                      // after a failure, before a file is tried again
  };
  // `files`: null for the system's; outlives this. `turns`: a test's, in the place of a thread.
  Recorder(asio::io_context &loop, const Clock &clock, Logger &log, Options options, io::FileSystem *files = nullptr,
           spool::Turns *turns = nullptr);
  ~Recorder();  // what it was given is written
  Recorder(const Recorder &) = delete;
  Recorder &operator=(const Recorder &) = delete;

  class File;
  // For a session that begins; null: nothing is recorded now.
  std::shared_ptr<File> begin();
  // A line, with its end. False: it is not written, and nothing more of that session will be.
  bool write(const std::shared_ptr<File> &file, std::string line);

  const Options &options() const { return options_; }
  // Names this process, and no other before or after it, in recordings.
  const std::string &run() const { return run_; }

  struct Counters {
    std::uint64_t sessions = 0, bytes = 0;
    bool recording = true;  // or resting after a failure
  };
  const Counters &counters() const { return counters_; }

 private:
  using Batch = std::vector<std::pair<std::shared_ptr<File>, std::string>>;
  struct Job;
  struct Close;
  std::shared_ptr<File> open_next();
  void pump();
  void written(const Job &job);
  void stop(const std::string &why);
  // The thread's.
  Result<void> put(const Batch &batch);
  Result<void> create(File &file);
  Result<std::uint64_t> recorded_so_far();

  const Clock &clock_;
  Logger &log_;
  const Options options_;
  std::unique_ptr<io::FileSystem> own_files_;
  io::FileSystem &files_;
  const std::string run_;
  std::uint32_t number_ = 0;       // of files
  std::uint32_t generation_ = 0;   // of files that may be written: a failure ends one
  std::shared_ptr<File> current_;  // for sessions that begin
  Batch batch_;                    // to be handed to the thread
  std::uint64_t waiting_ = 0;      // bytes, with the thread or before it
  bool busy_ = false;              // the thread has a batch
  bool failed_ = false;            // the log has said so
  Nanos rests_until_ = 0;          // mono; 0: it does not rest
  Counters counters_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::unique_ptr<spool::IoThread> thread_;  // last: it goes first
};

}  // namespace mansio::ingress
